#pragma once

#include <span>

#include <echelon/measure/record.hpp>

namespace echelon::analysis {

/// POP's metrics (pop-coe.eu). With U_i the seconds that rank i computed and T the longest time that any
/// rank spent in the measured region (compute + communicate + wait), over P ranks:
///   load balance = mean(U) / max(U),  communication = max(U) / T,  parallel = load balance * communication.
/// All 1 where nothing was measured.
[[nodiscard]] measure::Efficiency pop_efficiency(std::span<const measure::RankRecord> ranks) noexcept;

}  // namespace echelon::analysis
