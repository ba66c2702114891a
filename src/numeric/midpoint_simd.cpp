// The kernels of midpoint_scalar.cpp in vectors of whatever width: Highway includes this file once for each target.
// Every operation stands here in the order in which the reference has it, and the compiler may not contract any
// (-ffp-contract=off), so the bits are the reference's.

// Only targets with a fused multiply-add can have the reference's bits, and one of each width does; the rest stay
// empty.
#define HWY_COMPILE_ALL_ATTAINABLE  // whatever -march says: the CPU is asked at run time
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "numeric/midpoint_simd.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "midpoint_kernels.hpp"

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON
HWY_BEFORE_NAMESPACE();
namespace echelon::numeric::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Doubles = hn::ScalableTag<double>;
using Vector = hn::Vec<Doubles>;
constexpr Doubles d;
constexpr std::size_t width = HWY_MAX_BYTES / sizeof(double);
constexpr std::size_t vectors = lanes / width;

struct LaneSums {
  Vector vector[vectors];
};

HWY_INLINE double fold(const LaneSums& sums) {
  HWY_ALIGN double lane_sums[lanes];
  for (std::size_t v = 0; v < vectors; ++v) hn::Store(sums.vector[v], d, lane_sums + v * width);
  return fold_lanes(lane_sums);
}

/// numerator/(1 + x^2) of the block's points [begin, block.points), begin being a multiple of lanes.
HWY_INLINE void add_points(const MidpointGrid& grid, const MidpointBlock& block, std::uint64_t begin, double numerator,
                           LaneSums& sums) {
  const Vector first_x = hn::Set(d, block.first_x);
  const Vector spacing = hn::Set(d, grid.spacing);
  const Vector one = hn::Set(d, 1.0);
  const Vector above = hn::Set(d, numerator);
  const Vector step = hn::Set(d, static_cast<double>(width));
  Vector j = hn::Iota(d, static_cast<double>(begin));
  const auto term = [&]() HWY_ATTR {
    const Vector x = hn::MulAdd(j, spacing, first_x);
    return hn::Div(above, hn::MulAdd(x, x, one));
  };
  std::uint64_t row = begin;
  for (; row + lanes <= block.points; row += lanes) {
    for (std::size_t v = 0; v < vectors; ++v) {
      sums.vector[v] = hn::Add(sums.vector[v], term());
      j = hn::Add(j, step);
    }
  }
  if (row == block.points) return;
  const Vector end = hn::Set(d, static_cast<double>(block.points));
  for (std::size_t v = 0; v < vectors; ++v) {
    sums.vector[v] = hn::Add(sums.vector[v], hn::IfThenElseZero(hn::Lt(j, end), term()));
    j = hn::Add(j, step);
  }
}

double direct_block(const MidpointGrid& grid, const MidpointBlock& block) noexcept {
  LaneSums sums;
  for (auto& vector : sums.vector) vector = hn::Zero(d);
  add_points(grid, block, 0, 4.0, sums);
  return fold(sums);
}

/// Vectors that go through Horner's rule together. 4 x 2 independent chains fill 2 FMA ports x 4 cycles of latency; 8
/// leave slack at a batch's ends where there are 32 registers to hold them (AVX2 has 16; measured: 8 is slower there).
constexpr std::size_t batch = HWY_TARGET == HWY_AVX2 ? 4 : 8;

double fused_block(const MidpointGrid& grid, const MidpointBlock& block) noexcept {
  constexpr double scale = 4.0 * group_points;  // a power of two: exact
  LaneSums sums;
  for (auto& vector : sums.vector) vector = hn::Zero(d);
  const std::uint64_t rows = block.points / (lanes * group_points);
  const Vector group_spacing = hn::Set(d, group_points * grid.spacing);
  const Vector first_centre = hn::Set(d, block.first_centre);
  const Vector one = hn::Set(d, 1.0);
  const Vector step = hn::Set(d, static_cast<double>(width));
  Vector g = hn::Iota(d, 0.0);
  for (std::uint64_t row = 0; row < rows; ++row) {
    for (std::size_t v = 0; v < vectors; v += batch) {
      Vector b[batch];
      Vector numerator[batch];
      Vector denominator[batch];
      const Vector second = hn::Set(d, grid.denominator[group_points - 2]);
      HWY_UNROLL(8)
      for (std::size_t i = 0; i < batch; ++i) {
        const std::size_t lane = (v + i) * width;
        const Vector centre = hn::MulAdd(g, group_spacing, first_centre);
        b[i] = hn::MulAdd(centre, centre, one);
        numerator[i] = hn::Add(b[i], hn::Load(d, &grid.numerator_dithered[lane]));
        denominator[i] = hn::MulAdd(hn::Add(b[i], hn::Load(d, &grid.denominator_dithered[lane])), b[i], second);
        g = hn::Add(g, step);
      }
      for (std::size_t k = group_points - 2; k-- > 0;) {
        const Vector p = hn::Set(d, grid.numerator[k]);
        const Vector q = hn::Set(d, grid.denominator[k]);
        HWY_UNROLL(8)
        for (std::size_t i = 0; i < batch; ++i) {
          numerator[i] = hn::MulAdd(numerator[i], b[i], p);
          denominator[i] = hn::MulAdd(denominator[i], b[i], q);
        }
      }
      HWY_UNROLL(8)
      for (std::size_t i = 0; i < batch; ++i) {
        sums.vector[v + i] = hn::Add(sums.vector[v + i], hn::Div(numerator[i], denominator[i]));
      }
    }
  }
  add_points(grid, block, rows * lanes * group_points, 4.0 / scale, sums);
  return scale * fold(sums);
}

}  // namespace echelon::numeric::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
namespace echelon::numeric {

BlockSum simd_block_sum(Kernel kernel, Isa isa) noexcept {
  const bool fused = kernel == Kernel::fused;
  switch (isa) {
#if HWY_TARGETS & HWY_AVX3
    case Isa::avx512: return fused ? N_AVX3::fused_block : N_AVX3::direct_block;
#endif
#if HWY_TARGETS & HWY_AVX2
    case Isa::avx2: return fused ? N_AVX2::fused_block : N_AVX2::direct_block;
#endif
#if HWY_TARGETS & HWY_NEON
    case Isa::neon: return fused ? N_NEON::fused_block : N_NEON::direct_block;
#endif
    default: return nullptr;
  }
}

}  // namespace echelon::numeric
#endif
