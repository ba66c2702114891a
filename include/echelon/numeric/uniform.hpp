#pragma once

#include <cstdint>
#include <span>

#include <echelon/numeric/midpoint_rule.hpp>

namespace echelon::numeric {

/// Random doubles, uniform in [0, 1): each a function of the seed and its index alone, so that any rank can make any
/// part. They are those of NumPy's Generator(Philox(key=seed)).random(), bit by bit.
///
/// Philox4x64-10 (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC11) with the key {seed, 0}: number i is
/// word i mod 4 of counter i / 4 + 1, its upper 53 bits times 2^-53. NumPy counts from 1: it counts before it draws.
///
/// @pre first + out.size() <= 2^64
void uniform(std::uint64_t seed, std::uint64_t first, std::span<double> out) noexcept;

/// The same with one instruction set. @pre `isa` is in supported_isas(); one without a kernel here is as scalar
void uniform(std::uint64_t seed, std::uint64_t first, std::span<double> out, Isa isa) noexcept;
/// That which uniform() takes by itself: this CPU's fastest.
[[nodiscard]] Isa uniform_isa();

}  // namespace echelon::numeric
