#pragma once

#include <cstddef>

#include <echelon/numeric/midpoint_rule.hpp>

namespace echelon::numeric {

/// One number for all machines, so that the order of additions is one too; it keeps the widest busy:
/// 2 FMA ports x 4 cycles of latency x 8 doubles.
inline constexpr std::size_t lanes = MidpointGrid::lanes;
inline constexpr std::size_t group_points = MidpointGrid::group_points;

/// The sum of a block's terms 4/(1 + x^2), in the order that MidpointRule defines.
using BlockSum = double (*)(const MidpointGrid&, const MidpointBlock&) noexcept;

double direct_block_scalar(const MidpointGrid& grid, const MidpointBlock& block) noexcept;
double fused_block_scalar(const MidpointGrid& grid, const MidpointBlock& block) noexcept;

/// The kernels built for one of Highway's targets; nullptr where this build has none.
BlockSum simd_block_sum(Kernel kernel, Isa isa) noexcept;

/// Folds lanes in halves: lane i takes lane i + 32, then i + 16, ... then 1.
inline double fold_lanes(double* lane_sums) noexcept {
  for (std::size_t half = lanes / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) lane_sums[i] += lane_sums[i + half];
  }
  return lane_sums[0];
}

}  // namespace echelon::numeric
