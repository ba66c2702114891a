#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <echelon/measure/record.hpp>

namespace echelon::analysis {

/// How many CPUs the ranks of a run may use and whether that is enough for them.
struct Capacity {
  std::uint64_t cpus = 0;       ///< over all hosts
  bool oversubscribed = false;  ///< on some host there are more threads than CPUs
};

/// `quota`: for each rank, how many CPUs' worth of time its host grants at most (usable_cpus over all its CPUs).
[[nodiscard]] Capacity capacity(const std::vector<measure::RankRecord>& ranks, const std::vector<std::uint64_t>& quota,
                                std::uint64_t threads);

/// The CPU time that a rank got over what it would need to compute all the time that it says it did. What a rank spends
/// on anything else counts too, so this errs on the quiet side. 1 where it computed too shortly to tell.
[[nodiscard]] double cpu_share(const measure::RankRecord& rank, std::uint64_t threads) noexcept;
/// Below this, something else runs on the rank's CPUs.
inline constexpr double enough_cpu_share = 0.9;

/// What makes a run's figures doubtful, a sentence each: what was seen, why it matters, what to do.
[[nodiscard]] std::vector<std::string> warnings(const measure::Record& record);

}  // namespace echelon::analysis
