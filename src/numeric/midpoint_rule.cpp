#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include <hwy/targets.h>

#include <echelon/numeric/midpoint_rule.hpp>

#include "midpoint_kernels.hpp"

namespace echelon::numeric {
namespace {

/// (2 index + 1) / (2 points), within 2^-100 of being correctly rounded: the numerator is split where it exceeds 53
/// bits, and the quotient is corrected by its exact remainder.
double midpoint(std::uint64_t index, std::uint64_t points) {
  const std::uint64_t numerator = 2 * index + 1;
  const auto high = static_cast<double>(numerator);
  const auto low = static_cast<double>(static_cast<std::int64_t>(numerator - static_cast<std::uint64_t>(high)));
  const double divisor = 2.0 * static_cast<double>(points);
  const double quotient = high / divisor;
  return quotient + (std::fma(-quotient, divisor, high) + low) / divisor;
}

/// Multiplies the first `degree` + 1 coefficients of `polynomial` by b^2 + linear b + constant.
void multiply(std::span<double> polynomial, double linear, double constant) {
  for (std::size_t i = polynomial.size(); i-- > 0;) {
    polynomial[i] *= constant;
    if (i >= 1) polynomial[i] += linear * polynomial[i - 1];
    if (i >= 2) polynomial[i] += polynomial[i - 2];
  }
}

/// `value` in whole steps of 2^-52, rounded up in some lanes and down in others, so that the mean is right.
void dither(double value, std::span<double> lane_values) {
  constexpr double step = 0x1p-52;
  double carried = 0;
  for (double& lane_value : lane_values) {
    lane_value = step * std::nearbyint((value + carried) / step);
    carried += value - lane_value;
  }
}

MidpointGrid make_grid(std::uint64_t points) {
  MidpointGrid grid{};
  grid.spacing = 1.0 / static_cast<double>(points);
  std::array<double, group_points + 1> numerator{};
  std::array<double, group_points + 1> denominator{};
  denominator[0] = 1;
  constexpr std::size_t pairs = group_points / 2;
  for (std::size_t k = 0; k < pairs; ++k) {
    const double offset = (static_cast<double>(k) + 0.5) * grid.spacing;
    const double s = offset * offset;
    // P/Q + ((b + s)/pairs) / D = (P D + Q (b + s)/pairs) / (Q D), with D = b^2 - 2 s b + (s^2 + 4 s)
    multiply(numerator, -2.0 * s, s * s + 4.0 * s);
    for (std::size_t i = 0; i < group_points; ++i) {
      numerator[i] += s * denominator[i] / pairs;
      numerator[i + 1] += denominator[i] / pairs;
    }
    multiply(denominator, -2.0 * s, s * s + 4.0 * s);
  }
  std::copy_n(numerator.begin(), grid.numerator.size(), grid.numerator.begin());
  std::copy_n(denominator.begin(), grid.denominator.size(), grid.denominator.begin());
  // b is a multiple of 2^-52, and Horner's rule begins with b + coefficient, rounded to that step again. Left to that
  // rounding, a small coefficient would err the same way in every group.
  dither(grid.numerator.back(), grid.numerator_dithered);
  dither(grid.denominator.back(), grid.denominator_dithered);
  return grid;
}

BlockSum block_sum(Kernel kernel, Isa isa) {
  if (isa != Isa::scalar) return simd_block_sum(kernel, isa);
  return kernel == Kernel::fused ? fused_block_scalar : direct_block_scalar;
}

}  // namespace

std::string_view name(Kernel kernel) noexcept { return kernel == Kernel::fused ? "fused" : "direct"; }

std::string_view name(Isa isa) noexcept {
  switch (isa) {
    case Isa::avx512: return "avx512";
    case Isa::avx2: return "avx2";
    case Isa::neon: return "neon";
    case Isa::scalar: break;
  }
  return "scalar";
}

std::span<const Isa> all_isas() noexcept {
  static constexpr std::array isas{Isa::avx512, Isa::avx2, Isa::neon, Isa::scalar};
  return isas;
}

const std::vector<Isa>& supported_isas() {
  static const std::vector<Isa> supported = [] {
    std::vector<Isa> found;
    const auto cpu = hwy::SupportedTargets();
    const auto offer = [&](Isa isa, std::int64_t target) {
      if ((cpu & target) != 0 && simd_block_sum(Kernel::direct, isa) != nullptr) found.push_back(isa);
    };
    offer(Isa::avx512, HWY_AVX3);
    offer(Isa::avx2, HWY_AVX2);
    offer(Isa::neon, HWY_NEON);
    found.push_back(Isa::scalar);
    return found;
  }();
  return supported;
}

Isa best_isa(Kernel kernel) {
  const std::vector<Isa>& isas = supported_isas();
  // Divisions come at 4 cycles a pair whatever the vector's width (Ice Lake: 16 cycles for 8, 8 for 4), and AVX-512
  // lowers the clock: measured, direct takes 0.63 ns a point with it and 0.60 ns without.
  const bool avoid_avx512 = kernel == Kernel::direct && isas.front() == Isa::avx512;
  return avoid_avx512 ? isas[1] : isas.front();
}

MidpointRule::MidpointRule(std::uint64_t points, std::uint64_t block, Kernel kernel, Isa isa)
    : grid_{make_grid(points)}, points_{points}, block_{std::min(block, points)}, block_sum_{block_sum(kernel, isa)} {}

std::uint64_t MidpointRule::points_in(std::uint64_t first_block, std::uint64_t count) const noexcept {
  const std::uint64_t begin = first_block * block_;
  const std::uint64_t end = first_block + count >= blocks() ? points_ : begin + count * block_;
  return end - begin;
}

void MidpointRule::add(std::uint64_t first_block, std::uint64_t count, ExactSum& sum) const noexcept {
  for (std::uint64_t block = first_block; block < first_block + count; ++block) {
    const double first_x = midpoint(block * block_, points_);
    const double first_centre = std::fma(0.5 * (group_points - 1), grid_.spacing, first_x);
    sum.add(block_sum_(grid_, {first_x, first_centre, points_in(block, 1)}));
  }
}

double MidpointRule::integral(const ExactSum& sum) const noexcept {
  return sum.round_quotient(static_cast<double>(points_));
}

}  // namespace echelon::numeric
