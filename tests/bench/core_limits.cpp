#include <cstddef>

#include "rivals.hpp"

namespace echelon::bench {
namespace {

// More chains than latency x ports on any core today, and as many as fit into registers.
constexpr std::size_t chains = 12;

using Vector32 = double __attribute__((vector_size(32)));
#ifdef __AVX512F__
using VectorWidest = double __attribute__((vector_size(64)));
#else
using VectorWidest = Vector32;
#endif

template <typename Vector, typename Operation>
double run(std::int64_t count, Operation operation) {
  constexpr std::size_t width = sizeof(Vector) / sizeof(double);
  Vector chain[chains];
  // From a number that the compiler does not know, lest it find a fixed point and leave the loop out.
  for (auto& vector : chain) vector = Vector{} + 1.0 / static_cast<double>(count);
  for (std::int64_t done = 0; done < count; done += chains * width) {
#pragma GCC unroll 12
    for (std::size_t i = 0; i < chains; ++i) chain[i] = operation(chain[i]);
  }
  double sum = 0;
  for (const auto& vector : chain) sum += vector[0];
  return sum;
}

}  // namespace

double divisions_32_bytes(std::int64_t count) {
  return run<Vector32>(count, [](auto v) { return 1.1 / v; });
}

double divisions_widest(std::int64_t count) {
  return run<VectorWidest>(count, [](auto v) { return 1.1 / v; });
}

double fused_multiply_adds(std::int64_t count) {
  return run<VectorWidest>(count, [](auto v) { return v * 0.999999 + 1e-6; });
}

}  // namespace echelon::bench
