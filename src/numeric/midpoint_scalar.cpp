// The reference: what every instruction set must reproduce bit for bit, written for reading, not for speed.
#include <array>
#include <cmath>

#include "midpoint_kernels.hpp"

namespace echelon::numeric {
namespace {

/// P(b) / Q(b) of MidpointGrid by Horner's rule.
double group_sum(const MidpointGrid& grid, double centre, std::size_t lane) {
  const double b = std::fma(centre, centre, 1.0);
  double numerator = b + grid.numerator_dithered[lane];
  double denominator = std::fma(b + grid.denominator_dithered[lane], b, grid.denominator[group_points - 2]);
  for (std::size_t k = group_points - 2; k-- > 0;) {
    numerator = std::fma(numerator, b, grid.numerator[k]);
    denominator = std::fma(denominator, b, grid.denominator[k]);
  }
  return numerator / denominator;
}

/// numerator/(1 + x^2) of the block's points [begin, block.points), point j into lane j mod lanes.
void add_points(const MidpointGrid& grid, const MidpointBlock& block, std::uint64_t begin, double numerator,
                std::array<double, lanes>& lane_sums) {
  for (std::uint64_t j = begin; j < block.points; ++j) {
    const double x = std::fma(static_cast<double>(j), grid.spacing, block.first_x);
    lane_sums[j % lanes] += numerator / std::fma(x, x, 1.0);
  }
}

}  // namespace

double direct_block_scalar(const MidpointGrid& grid, const MidpointBlock& block) noexcept {
  std::array<double, lanes> lane_sums{};
  add_points(grid, block, 0, 4.0, lane_sums);
  return fold_lanes(lane_sums.data());
}

/// Whole rows of 64 groups are fused; what is left over at the end of the block is added point by point.
double fused_block_scalar(const MidpointGrid& grid, const MidpointBlock& block) noexcept {
  constexpr double scale = 4.0 * group_points;  // a power of two: exact
  std::array<double, lanes> lane_sums{};
  const std::uint64_t groups = block.points / (lanes * group_points) * lanes;
  for (std::uint64_t g = 0; g < groups; ++g) {
    const double centre = std::fma(static_cast<double>(g), group_points * grid.spacing, block.first_centre);
    lane_sums[g % lanes] += group_sum(grid, centre, g % lanes);
  }
  add_points(grid, block, groups * group_points, 4.0 / scale, lane_sums);
  return scale * fold_lanes(lane_sums.data());
}

}  // namespace echelon::numeric
