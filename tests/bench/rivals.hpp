#pragma once

#include <cstdint>

namespace echelon::bench {

/// The sum of the texts' formula, 4/(1 + x^2) at x = (i + 0.5) h, as they write it: one after the other.
double text_plain(std::int64_t points);
/// The same loop, given to the compiler with leave to reorder and vectorise it as it likes.
double text_simd(std::int64_t points);

/// So many divisions, or fused multiply-adds, of doubles in vectors of 32 bytes or the widest, none waiting for
/// another.
double divisions_32_bytes(std::int64_t count);
double divisions_widest(std::int64_t count);
double fused_multiply_adds(std::int64_t count);

}  // namespace echelon::bench
