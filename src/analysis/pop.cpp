#include <algorithm>
#include <vector>

#include <echelon/analysis/median.hpp>
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

double useful_time_s(std::span<const measure::RankRecord> ranks) noexcept {
  double sum = 0;
  for (const measure::RankRecord& rank : ranks) sum += rank.compute_s;
  return sum;
}

PopFactors pop_factors(std::span<const PopRun> runs, std::span<const PopRun> baseline, Scaling scaling,
                       double more_processors, const BootstrapOptions& options) {
  const auto values = [](std::span<const PopRun> of, auto member) {
    std::vector<double> found;
    std::ranges::transform(of, std::back_inserter(found), member);
    return found;
  };
  const auto estimate = [&](double measure::Efficiency::*factor) {
    return median_estimate(values(runs, [&](const PopRun& run) { return run.efficiency.*factor; }), options.confidence);
  };
  PopFactors factors{
      .load_balance = estimate(&measure::Efficiency::load_balance),
      .communication = estimate(&measure::Efficiency::communication),
      .parallel = estimate(&measure::Efficiency::parallel),
      .computation_scalability =
          scaled(ratio_of_medians(values(baseline, &PopRun::useful_s), values(runs, &PopRun::useful_s), options),
                 scaling == Scaling::strong ? 1 : more_processors),
  };
  if (runs.data() == baseline.data()) factors.computation_scalability.interval.reset();  // 1 by definition
  factors.global = factors.parallel.value * factors.computation_scalability.value;
  return factors;
}

}  // namespace echelon::analysis
