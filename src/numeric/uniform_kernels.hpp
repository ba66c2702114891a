#pragma once

#include <cstddef>
#include <cstdint>

#include <echelon/numeric/midpoint_rule.hpp>

namespace echelon::numeric {

/// Makes the doubles of as many whole blocks, of 4 each, as fit its vectors, from block `first` on; says how many it
/// made. The rest, fewer than a few vectors of blocks, is left to the caller.
using UniformBlocks = std::size_t (*)(std::uint64_t seed, std::uint64_t first, std::size_t blocks,
                                      double* out) noexcept;

/// nullptr where this build has none, or none that is faster than the scalar reference.
UniformBlocks simd_uniform_blocks(Isa isa) noexcept;

}  // namespace echelon::numeric
