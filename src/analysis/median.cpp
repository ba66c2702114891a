#include <echelon/analysis/median.hpp>

#include "distributions.hpp"
#include "sorted.hpp"

namespace echelon::analysis {

std::optional<OrderStatistics> median_bounds(std::size_t n, double confidence) {
  // The median is below the k-th value with P(Bin(n, 1/2) < k), and above the k-th from the end with the same.
  const auto outside = [n](std::size_t k) { return fair_coin_cdf(k - 1, n); };
  std::size_t lower = 0;
  std::size_t too_far_in = n / 2 + 1;
  while (too_far_in - lower > 1) {
    const std::size_t between = (lower + too_far_in) / 2;
    (outside(between) <= (1 - confidence) / 2 ? lower : too_far_in) = between;
  }
  if (lower == 0) return std::nullopt;
  return OrderStatistics{lower, n + 1 - lower, 1 - 2 * outside(lower)};
}

Estimate median_estimate(std::span<const double> values, double confidence) {
  const std::vector<double> ordered = sorted(values);
  Estimate estimate{median_of_sorted(ordered), std::nullopt};
  if (const auto bounds = median_bounds(ordered.size(), confidence)) {
    estimate.interval = {ordered[bounds->lower - 1], ordered[bounds->upper - 1], bounds->confidence};
  }
  return estimate;
}

}  // namespace echelon::analysis
