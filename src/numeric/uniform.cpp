#include <algorithm>

#include <Random123/philox.h>

#include <echelon/numeric/uniform.hpp>

#include "uniform_kernels.hpp"

namespace echelon::numeric {
namespace {

constexpr std::size_t block_size = 4;

/// Doubles [begin, begin + count) of a block. Random123 is the definition; the kernels must agree.
void part_of_block(std::uint64_t seed, std::uint64_t block, std::size_t begin, std::size_t count,
                   double* out) noexcept {
  const r123::Philox4x64::ctr_type words = r123::Philox4x64{}({{block + 1, 0, 0, 0}}, {{seed, 0}});
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<double>(words[begin + i] >> 11) * 0x1p-53;
}

}  // namespace

void uniform(std::uint64_t seed, std::uint64_t first, std::span<double> out, Isa isa) noexcept {
  std::uint64_t block = first / block_size;
  if (const std::size_t begin = first % block_size; begin != 0) {
    const std::size_t count = std::min(block_size - begin, out.size());
    part_of_block(seed, block++, begin, count, out.data());
    out = out.subspan(count);
  }
  if (const UniformBlocks kernel = simd_uniform_blocks(isa); kernel != nullptr) {
    const std::size_t made = kernel(seed, block, out.size() / block_size, out.data());
    block += made;
    out = out.subspan(made * block_size);
  }
  while (!out.empty()) {
    const std::size_t count = std::min(block_size, out.size());
    part_of_block(seed, block++, 0, count, out.data());
    out = out.subspan(count);
  }
}

void uniform(std::uint64_t seed, std::uint64_t first, std::span<double> out) noexcept {
  static const Isa isa = uniform_isa();
  uniform(seed, first, out, isa);
}

Isa uniform_isa() {
  for (const Isa isa : supported_isas()) {
    if (simd_uniform_blocks(isa) != nullptr) return isa;
  }
  return Isa::scalar;
}

}  // namespace echelon::numeric
