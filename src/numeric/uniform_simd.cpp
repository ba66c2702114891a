// Philox4x64-10 in vectors of whatever width, a block a lane: Highway includes this file once for each target.
// Measured on an Ice Lake Xeon, ns a double: AVX-512 1.9, AVX2 2.3, Random123 (mulx) 3.1. No other target has a kernel:
// vectors have no 64 x 64 -> 128 bits product, and what stands in for it pays off with four lanes and more.

#define HWY_COMPILE_ALL_ATTAINABLE  // whatever -march says: the CPU is asked at run time
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "numeric/uniform_simd.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "uniform_kernels.hpp"

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
HWY_BEFORE_NAMESPACE();
namespace echelon::numeric::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Words = hn::ScalableTag<std::uint64_t>;
using Vector = hn::Vec<Words>;
constexpr Words words;
constexpr hn::Repartition<std::uint32_t, Words> halves;
constexpr hn::RebindToSigned<Words> signed_words;
constexpr hn::RebindToFloat<Words> doubles;

constexpr std::size_t width = HWY_MAX_BYTES / sizeof(std::uint64_t);
/// Vectors that go through the rounds together, to hide the products' latency (measured).
constexpr std::size_t batch = HWY_TARGET == HWY_AVX2 ? 4 : 2;
constexpr std::size_t rounds = 10;
constexpr std::uint64_t multiplier[2] = {0xD2E7470EE14C6C93, 0xCA5A826395121157};
constexpr std::uint64_t key_step[2] = {0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B};

/// A constant factor and its upper half.
struct Factor {
  Vector whole;
  Vector upper;
};

/// The 128-bit products of every lane by schoolbook multiplication of 32-bit halves.
HWY_INLINE void multiply(Vector a, const Factor& factor, Vector& high, Vector& low) {
  const auto product = [](Vector x, Vector y)
                           HWY_ATTR { return hn::MulEven(hn::BitCast(halves, x), hn::BitCast(halves, y)); };
  const Vector a_upper = hn::ShiftRight<32>(a);
  const Vector low_low = product(a, factor.whole);
  const Vector high_low = hn::Add(product(a_upper, factor.whole), hn::ShiftRight<32>(low_low));
  const Vector low_high = hn::Add(product(a, factor.upper), hn::And(high_low, hn::Set(words, 0xFFFFFFFF)));
  high = hn::Add(hn::Add(product(a_upper, factor.upper), hn::ShiftRight<32>(high_low)), hn::ShiftRight<32>(low_high));
  low = hn::BitCast(words, hn::OddEven(hn::BitCast(halves, hn::ShiftLeft<32>(low_high)), hn::BitCast(halves, low_low)));
}

/// The upper 53 bits times 2^-53.
HWY_INLINE auto to_double(Vector word) {
  const auto whole = hn::BitCast(signed_words, hn::ShiftRight<11>(word));
  return hn::Mul(hn::ConvertTo(doubles, whole), hn::Set(doubles, 0x1p-53));
}

std::size_t uniform_blocks(std::uint64_t seed, std::uint64_t first, std::size_t blocks, double* out) noexcept {
  const Factor factor[2] = {{hn::Set(words, multiplier[0]), hn::Set(words, multiplier[0] >> 32)},
                            {hn::Set(words, multiplier[1]), hn::Set(words, multiplier[1] >> 32)}};
  Vector key[rounds][2];
  for (std::size_t r = 0; r < rounds; ++r) {
    key[r][0] = hn::Set(words, seed + r * key_step[0]);
    key[r][1] = hn::Set(words, r * key_step[1]);
  }
  // A counter is {n, 0, 0, 0}. So after the first round the words are {seed, 0, and n's product}, and in the second
  // the first word's product is the same for all.
  Vector seed_high;
  Vector seed_low;
  multiply(key[0][0], factor[0], seed_high, seed_low);

  std::size_t done = 0;
  for (; done + width * batch <= blocks; done += width * batch) {
    Vector c[batch][4];
    for (std::size_t b = 0; b < batch; ++b) {
      const Vector n = hn::Iota(words, first + done + b * width + 1);
      Vector high;
      Vector low;
      multiply(n, factor[0], high, low);
      multiply(high, factor[1], c[b][0], c[b][1]);
      c[b][0] = hn::Xor(c[b][0], key[1][0]);
      c[b][2] = hn::Xor(hn::Xor(seed_high, low), key[1][1]);
      c[b][3] = seed_low;
    }
    for (std::size_t r = 2; r < rounds; ++r) {
      for (std::size_t b = 0; b < batch; ++b) {
        Vector high[2];
        Vector low[2];
        multiply(c[b][0], factor[0], high[0], low[0]);
        multiply(c[b][2], factor[1], high[1], low[1]);
        c[b][0] = hn::Xor(hn::Xor(high[1], c[b][1]), key[r][0]);
        c[b][1] = low[1];
        c[b][2] = hn::Xor(hn::Xor(high[0], c[b][3]), key[r][1]);
        c[b][3] = low[0];
      }
    }
    for (std::size_t b = 0; b < batch; ++b) {
      hn::StoreInterleaved4(to_double(c[b][0]), to_double(c[b][1]), to_double(c[b][2]), to_double(c[b][3]), doubles,
                            out + 4 * (done + b * width));
    }
  }
  return done;
}

}  // namespace echelon::numeric::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
namespace echelon::numeric {

UniformBlocks simd_uniform_blocks(Isa isa) noexcept {
  switch (isa) {
#if HWY_TARGETS & HWY_AVX3
    case Isa::avx512: return N_AVX3::uniform_blocks;
#endif
#if HWY_TARGETS & HWY_AVX2
    case Isa::avx2: return N_AVX2::uniform_blocks;
#endif
    default: return nullptr;
  }
}

}  // namespace echelon::numeric
#endif
