#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace echelon::numeric {

/// A sum of doubles held exactly, so that adding is associative: any order and any grouping give the same bits.
///
/// The value is an integer multiple of 2^-1074 in limbs of radix 2^32, each limb a 64-bit integer whose upper half
/// takes the carries until they are propagated (a superaccumulator: Kulisch, Computer Arithmetic and Validity, 2008;
/// Neal, arXiv 1505.05571, the "small" variant). It holds the exact sum of up to 2^63 doubles of any size.
///
/// Ranks combine sums by adding `state()` element by element (a plain MPI_SUM): see there.
class ExactSum {
 public:
  /// Limbs of value, then how many NaN, +infinity and -infinity were added.
  static constexpr std::size_t limb_count = 68;
  static constexpr std::size_t state_size = limb_count + 3;

  /// Infinities and NaN are counted, so that their sum follows IEEE 754 whatever the order.
  void add(double value) noexcept;
  void add(const ExactSum& other) noexcept;

  /// The exact sum rounded once, to nearest, ties to even. A zero sum is +0; overflow is an infinity.
  [[nodiscard]] double round() const noexcept;

  /// The exact sum divided by `divisor`, rounded once, as round() does. @pre a whole number from 1 to 2^53
  [[nodiscard]] double round_quotient(double divisor) const noexcept;

  /// Carries are propagated first, so up to 2^30 states may be added element by element without overflow.
  [[nodiscard]] std::span<const std::int64_t, state_size> state() noexcept;
  /// Takes the element-wise sum of up to 2^30 states.
  [[nodiscard]] static ExactSum from_state(std::span<const std::int64_t, state_size> state) noexcept;

 private:
  void propagate_carries() noexcept;

  std::array<std::int64_t, state_size> state_{};
  std::uint32_t uncarried_ = 0;  // additions since the carries were propagated
};

}  // namespace echelon::numeric
