#include <map>

#include <echelon/analysis/drift.hpp>

#include "distributions.hpp"
#include "sorted.hpp"

namespace echelon::analysis {
namespace {

struct Kendall {
  double score = 0;     ///< pairs that rise, less those that fall
  double variance = 0;  ///< of the score, where there is no trend
};

Kendall kendall(const std::vector<OrderedTime>& in_order) {
  Kendall found;
  std::map<double, double> ties;
  for (std::size_t i = 0; i < in_order.size(); ++i) {
    ++ties[in_order[i].time_s];
    for (std::size_t j = i + 1; j < in_order.size(); ++j) {
      if (in_order[i].time_s < in_order[j].time_s) ++found.score;
      if (in_order[i].time_s > in_order[j].time_s) --found.score;
    }
  }
  const auto term = [](double n) { return n * (n - 1) * (2 * n + 5) / 18; };
  found.variance = term(static_cast<double>(in_order.size()));
  for (const auto& [value, count] : ties) found.variance -= term(count);
  return found;
}

void add_slopes(const std::vector<OrderedTime>& in_order, std::vector<double>& slopes) {
  // Half a million pairs of a group are enough for a median.
  const std::size_t step = in_order.size() / 1000 + 1;
  for (std::size_t i = 0; i < in_order.size(); i += step) {
    for (std::size_t j = i + step; j < in_order.size(); j += step) {
      const auto steps = static_cast<double>(in_order[j].sequence - in_order[i].sequence);
      if (steps > 0) slopes.push_back(std::log(in_order[j].time_s / in_order[i].time_s) / steps);
    }
  }
}

}  // namespace

std::optional<Drift> drift(std::span<const std::vector<OrderedTime>> groups) {
  Kendall sum;
  std::vector<double> slopes;
  std::uint64_t first = UINT64_MAX;
  std::uint64_t last = 0;
  for (std::vector<OrderedTime> group : groups) {
    for (const OrderedTime& one : group) {
      if (!(one.time_s > 0) || !std::isfinite(one.time_s)) {
        throw std::invalid_argument("times must be positive and finite");
      }
      first = std::min(first, one.sequence);
      last = std::max(last, one.sequence);
    }
    std::ranges::sort(group, {}, &OrderedTime::sequence);
    const Kendall own = kendall(group);
    sum.score += own.score;
    sum.variance += own.variance;
    add_slopes(group, slopes);
  }
  if (slopes.empty()) return std::nullopt;
  // One less in size: the score is discrete.
  const double excess = std::max(std::abs(sum.score) - 1, 0.0);
  const double p_value = sum.variance > 0 ? normal_two_sided(excess / std::sqrt(sum.variance)) : 1;
  const double slope = median_of_sorted(sorted(slopes));
  return Drift{p_value, std::expm1(slope * static_cast<double>(last - first))};
}

}  // namespace echelon::analysis
