#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <echelon/numeric/exact_sum.hpp>

namespace echelon::numeric {

/// How the terms 4/(1 + x^2) are computed; both kernels are N-point midpoint sums of the same terms.
enum class Kernel {
  direct,  ///< one division a point, as every textbook program does
  fused,   ///< 32 neighbouring terms are added as one fraction, then divided once
};

/// Instruction sets with a fused multiply-add, and the scalar reference that defines their bits.
enum class Isa { scalar, neon, avx2, avx512 };

[[nodiscard]] std::string_view name(Kernel kernel) noexcept;
[[nodiscard]] std::string_view name(Isa isa) noexcept;
/// All that Echelon knows, whatever the CPU.
[[nodiscard]] std::span<const Isa> all_isas() noexcept;
/// What this CPU and this build can run, best first; the scalar reference is always the last.
[[nodiscard]] const std::vector<Isa>& supported_isas();
/// The fastest of them for a kernel.
[[nodiscard]] Isa best_isa(Kernel kernel);

/// What a kernel needs to know of the grid; the same for every block.
///
/// A fused group's points lie at c -+ (k + 1/2) h, k = 0 ... 15. With b = 1 + c^2 and s = ((k + 1/2) h)^2, a pair has
///   1/(1 + x-^2) + 1/(1 + x+^2) = 2 (b + s) / ((b - s)^2 + 4 s),
/// so the group's sum of 1/(1 + x^2) is 32 P(b) / Q(b), where P and Q are polynomials with leading coefficient 1.
struct MidpointGrid {
  static constexpr std::size_t lanes = 64;
  static constexpr std::size_t group_points = 32;

  double spacing;                                  // h = 1/N
  std::array<double, group_points - 1> numerator;  // P's coefficients of b^0 ... b^30
  std::array<double, group_points> denominator;    // Q's coefficients of b^0 ... b^31
  // The last ones again, in whole steps of 2^-52, an entry a lane; their rounding errors add up to nought.
  alignas(64) std::array<double, lanes> numerator_dithered;
  alignas(64) std::array<double, lanes> denominator_dithered;
};

/// A block of points: where its first point and its first group's centre lie, and how many points it has.
struct MidpointBlock {
  double first_x;
  double first_centre;
  std::uint64_t points;
};

/// pi as the midpoint sum of 4/(1 + x^2) over [0, 1].
///
/// The points are cut into blocks of a fixed size. A block is added up in a fixed order: point (fused: group of 32
/// points) j goes to lane j mod 64, each lane in rising j, then the lanes are folded in halves. Blocks are combined by
/// ExactSum. So the result has the same bits however the blocks are shared out, and on every instruction set.
class MidpointRule {
 public:
  static constexpr std::uint64_t max_points = std::uint64_t{1} << 53;
  /// Part of the result's definition (another size may differ in the last bit). Large enough that what is done once a
  /// block costs below 1 %, small enough to be shared out evenly.
  static constexpr std::uint64_t default_block = std::uint64_t{1} << 16;

  /// A lane adds up a 64th of a block in plain doubles: with blocks beyond this the last bits are lost (seen at 1e7).
  static constexpr std::uint64_t max_accurate_block = std::uint64_t{1} << 20;

  /// @pre 1 <= points <= max_points, block >= 1, isa is in supported_isas()
  MidpointRule(std::uint64_t points, std::uint64_t block, Kernel kernel, Isa isa);

  [[nodiscard]] std::uint64_t blocks() const noexcept { return (points_ - 1) / block_ + 1; }
  /// Points in blocks [first_block, first_block + count): the last block of all may be short.
  [[nodiscard]] std::uint64_t points_in(std::uint64_t first_block, std::uint64_t count) const noexcept;

  /// Adds up blocks [first_block, first_block + count). May be called from several threads at once.
  void add(std::uint64_t first_block, std::uint64_t count, ExactSum& sum) const noexcept;

  /// The integral, from the sum over all blocks.
  [[nodiscard]] double integral(const ExactSum& sum) const noexcept;

 private:
  MidpointGrid grid_;
  std::uint64_t points_;
  std::uint64_t block_;
  double (*block_sum_)(const MidpointGrid&, const MidpointBlock&) noexcept;
};

}  // namespace echelon::numeric
