#pragma once

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

/// One repetition's.
struct PopRun {
  measure::Efficiency efficiency;
  double useful_s = 0;  ///< useful_time_s
};

/// POP's hierarchy of one configuration over its repetitions: medians, with their distribution-free intervals. As each
/// is the median of its own values, parallel is not to the last digit load balance * communication.
struct PopFactors {
  Estimate load_balance;
  Estimate communication;
  Estimate parallel;
  /// Useful time of the baseline over that here, per work: below 1 where ranks compute longer for the same.
  Estimate computation_scalability;
  /// parallel * computation scalability. Over that of the baseline it is the efficiency, T's being of the same region.
  double global = 0;
};

/// `more_processors`: over the baseline's; weak scaling has more work in proportion. For the baseline itself, pass its
/// own runs twice. Throws std::invalid_argument where there are no runs, or one has no useful time.
[[nodiscard]] PopFactors pop_factors(std::span<const PopRun> runs, std::span<const PopRun> baseline, Scaling scaling,
                                     double more_processors, const BootstrapOptions& options = {});

}  // namespace echelon::analysis
