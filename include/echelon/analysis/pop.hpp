#pragma once

#include <cstdint>
#include <span>

#include <echelon/analysis/estimate.hpp>
#include <echelon/analysis/speedup.hpp>
#include <echelon/measure/record.hpp>

namespace echelon::analysis {

/// POP's metrics (pop-coe.eu). With U_i the seconds that rank i computed and T the longest time that any
/// rank spent in the measured region (compute + communicate + wait), over P ranks:
///   load balance = mean(U) / max(U),  communication = max(U) / T,  parallel = load balance * communication.
/// All 1 where nothing was measured.
[[nodiscard]] measure::Efficiency pop_efficiency(std::span<const measure::RankRecord> ranks) noexcept;

/// The sum of U_i, in seconds.
[[nodiscard]] double useful_time_s(std::span<const measure::RankRecord> ranks) noexcept;

/// What POP's factors of one run are made of: seconds of one repetition, the mean where a run has several. A rank's
/// threads are taken to compute as long as it does.
struct PopRun {
  double useful_s = 0;   ///< useful_time_s * threads
  double longest_s = 0;  ///< the largest U_i
  double elapsed_s = 0;  ///< T, the run's time_s, where it has one repetition
  std::uint64_t processors = 1;
};

/// POP's hierarchy of one configuration over its runs. Seconds are summarised by their medians, and these divided
/// (never a mean of ratios: Hoefler and Belli, SC 2015, rules 3 and 4), so parallel is load balance * communication.
/// Intervals are by the bootstrap, in which a run's seconds stay together.
struct PopFactors {
  Estimate load_balance;
  Estimate communication;
  Estimate parallel;
  /// Useful time of the baseline over that here, per work: below 1 where ranks compute longer for the same.
  Estimate computation_scalability;
  /// parallel * computation scalability. Over that of the baseline it is the efficiency (scaling.md 4.1).
  double global = 0;
};

/// `more_processors`: over the baseline's; weak scaling has more work in proportion. For the baseline itself, pass its
/// own runs twice. Throws std::invalid_argument where there are no runs, one has no useful time, or processors differ.
[[nodiscard]] PopFactors pop_factors(std::span<const PopRun> runs, std::span<const PopRun> baseline, Scaling scaling,
                                     double more_processors, const BootstrapOptions& options = {});

}  // namespace echelon::analysis
