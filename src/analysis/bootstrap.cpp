#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <stdexcept>

#include <echelon/analysis/bootstrap.hpp>

#include "sorted.hpp"

namespace echelon::analysis {
namespace {

class Draws {
 public:
  explicit Draws(std::uint64_t seed) : generator_{seed} {}

  std::uint32_t below(std::uint32_t bound) {
    std::uint64_t product = upper_half() * bound;
    if (static_cast<std::uint32_t>(product) < bound) {
      const std::uint32_t biased = -bound % bound;
      while (static_cast<std::uint32_t>(product) < biased) product = upper_half() * bound;
    }
    return static_cast<std::uint32_t>(product >> 32);
  }

 private:
  std::uint64_t upper_half() { return generator_() >> 32; }

  std::mt19937_64 generator_;
};

/// How often each of n values is drawn in n draws with replacement.
void draw(std::uint32_t n, std::vector<std::uint32_t>& drawn, Draws& draws) {
  drawn.assign(n, 0);
  for (std::uint32_t i = 0; i < n; ++i) ++drawn[draws.below(n)];
}

/// The median of sorted values each of which was drawn so often: no branch depends on the draws but the end of two
/// scans.
double median_of_drawn(std::span<const double> ordered, std::span<const std::uint32_t> drawn) {
  const auto n = static_cast<std::uint32_t>(ordered.size());
  std::size_t rank = 0;
  std::uint32_t seen = drawn[0];
  const auto advance_to = [&](std::uint32_t position) {
    while (seen <= position) seen += drawn[++rank];
    return ordered[rank];
  };
  if (n % 2 != 0) return advance_to(n / 2);
  const double below = advance_to(n / 2 - 1);
  return (below + advance_to(n / 2)) / 2;
}

void check_count(std::size_t n) {
  if (n > std::numeric_limits<std::uint32_t>::max()) throw std::invalid_argument("too many values");
}

}  // namespace

std::vector<std::vector<double>> resampled_medians(std::span<const std::vector<double>> samples,
                                                   const BootstrapOptions& options) {
  std::vector<std::vector<double>> ordered;
  for (const auto& sample : samples) {
    ordered.push_back(sorted(sample));
    check_count(sample.size());
  }
  std::vector<std::vector<double>> medians(samples.size(), std::vector<double>(options.resamples));
  Draws draws{options.seed};
  std::vector<std::uint32_t> drawn;
  for (std::size_t b = 0; b < options.resamples; ++b) {
    for (std::size_t s = 0; s < ordered.size(); ++s) {
      draw(static_cast<std::uint32_t>(ordered[s].size()), drawn, draws);
      medians[s][b] = median_of_drawn(ordered[s], drawn);
    }
  }
  return medians;
}

std::vector<std::vector<double>> resampled_medians_by_row(std::span<const std::vector<double>> columns,
                                                          const BootstrapOptions& options) {
  std::vector<std::vector<double>> ordered;
  std::vector<std::vector<std::size_t>> orders;  // of each column: the rows, by value
  for (const auto& column : columns) {
    if (column.size() != columns.front().size()) throw std::invalid_argument("columns of different lengths");
    check_count(column.size());
    ordered.push_back(sorted(column));
    std::vector<std::size_t>& order = orders.emplace_back(column.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, {}, [&](std::size_t row) { return column[row]; });
  }
  std::vector<std::vector<double>> medians(columns.size(), std::vector<double>(options.resamples));
  Draws draws{options.seed};
  std::vector<std::uint32_t> drawn;
  std::vector<std::uint32_t> drawn_by_value;
  for (std::size_t b = 0; b < options.resamples && !columns.empty(); ++b) {
    draw(static_cast<std::uint32_t>(columns.front().size()), drawn, draws);
    for (std::size_t c = 0; c < columns.size(); ++c) {
      drawn_by_value.clear();
      for (const std::size_t row : orders[c]) drawn_by_value.push_back(drawn[row]);
      medians[c][b] = median_of_drawn(ordered[c], drawn_by_value);
    }
  }
  return medians;
}

Interval percentile_interval(std::vector<double> resampled, double confidence) {
  // The k-th from either end, k = (B + 1) alpha / 2; Davison and Hinkley, Bootstrap Methods, section 5.2.
  const double wanted = static_cast<double>(resampled.size() + 1) * (1 - confidence) / 2;
  // Rounded, as 10001 * 0.05 / 2 must not become 249 by a last bit.
  const auto tail = static_cast<std::ptrdiff_t>(std::max(std::floor(wanted + 1e-9), 1.0)) - 1;
  const auto lower = resampled.begin() + tail;
  std::ranges::nth_element(resampled, lower);
  const double lower_value = *lower;
  const auto upper = resampled.end() - 1 - tail;
  std::ranges::nth_element(resampled, upper);
  return {lower_value, *upper, confidence};
}

}  // namespace echelon::analysis
