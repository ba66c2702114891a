#include <algorithm>
#include <stdexcept>
#include <vector>

#include <echelon/analysis/pop.hpp>

#include "quotients.hpp"

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
  const auto column = [](std::span<const PopRun> of, double PopRun::*member) {
    std::vector<double> found;
    std::ranges::transform(of, std::back_inserter(found), member);
    return found;
  };
  for (const PopRun& run : runs) {
    if (run.processors != runs.front().processors || !(run.longest_s > 0) || !(run.elapsed_s > 0)) {
      throw std::invalid_argument("runs of one point have as many processors, which computed");
    }
  }
  const std::vector<std::vector<double>> columns{column(runs, &PopRun::useful_s), column(runs, &PopRun::longest_s),
                                                 column(runs, &PopRun::elapsed_s)};
  const auto resampled = resampled_medians_by_row(columns, options);
  const auto ratio = [&](std::size_t numerator, std::size_t denominator) {
    Estimate estimate{measure::median(columns[numerator]) / measure::median(columns[denominator]), std::nullopt};
    if (runs.size() < fewest_for_interval) return estimate;
    estimate.interval =
        percentile_interval(quotients(resampled[numerator], resampled[denominator]), options.confidence);
    return estimate;
  };
  enum : std::size_t { useful, longest, elapsed };
  const double a_processor = 1 / static_cast<double>(runs.empty() ? 1 : runs.front().processors);
  PopFactors factors{
      .load_balance = scaled(ratio(useful, longest), a_processor),
      .communication = ratio(longest, elapsed),
      .parallel = scaled(ratio(useful, elapsed), a_processor),
      .computation_scalability = scaled(ratio_of_medians(column(baseline, &PopRun::useful_s), columns[useful], options),
                                        scaling == Scaling::strong ? 1 : more_processors),
  };
  if (runs.data() == baseline.data()) factors.computation_scalability.interval.reset();  // 1 by definition
  factors.global = factors.parallel.value * factors.computation_scalability.value;
  return factors;
}

}  // namespace echelon::analysis
