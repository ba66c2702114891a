#include <algorithm>

#include <echelon/analysis/pop.hpp>

namespace echelon::analysis {

measure::Efficiency pop_efficiency(std::span<const measure::RankRecord> ranks) noexcept {
  double useful_sum = 0;
  double useful_max = 0;
  double region = 0;
  for (const measure::RankRecord& rank : ranks) {
    useful_sum += rank.compute_s;
    useful_max = std::max(useful_max, rank.compute_s);
    region = std::max(region, rank.compute_s + rank.communicate_s + rank.wait_s);
  }
  if (useful_max <= 0) return {1, 1, 1};
  const double load_balance = useful_sum / static_cast<double>(ranks.size()) / useful_max;
  const double communication = useful_max / region;
  return {load_balance, communication, load_balance * communication};
}

}  // namespace echelon::analysis
