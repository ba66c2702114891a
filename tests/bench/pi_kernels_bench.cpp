// Every figure is in points a second on one core, so that all can be compared; run.sh turns them into ratios.
#include <string>

#include <benchmark/benchmark.h>

#include <echelon/numeric/midpoint_rule.hpp>

#include "rivals.hpp"

namespace {

using echelon::numeric::ExactSum;
using echelon::numeric::Isa;
using echelon::numeric::Kernel;
using echelon::numeric::MidpointRule;

constexpr std::int64_t points = 10'000'000;

void set_points(benchmark::State& state, double points_an_iteration) {
  state.counters["points"] = benchmark::Counter(points_an_iteration, benchmark::Counter::kIsIterationInvariantRate);
}

void text(benchmark::State& state, double (*sum)(std::int64_t)) {
  for (auto _ : state) benchmark::DoNotOptimize(sum(points));
  set_points(state, points);
}

void kernel(benchmark::State& state, Kernel which, Isa isa) {
  const MidpointRule rule{points, MidpointRule::default_block, which, isa};
  for (auto _ : state) {
    ExactSum sum;
    rule.add(0, rule.blocks(), sum);
    benchmark::DoNotOptimize(rule.integral(sum));
  }
  set_points(state, points);
}

/// `operations_a_point`: how many of them a kernel cannot do without.
void limit(benchmark::State& state, double (*run)(std::int64_t), double operations_a_point) {
  for (auto _ : state) benchmark::DoNotOptimize(run(points));
  set_points(state, points / operations_a_point);
}

}  // namespace

int main(int argc, char** argv) {
  namespace bench = echelon::bench;
  benchmark::RegisterBenchmark("text_plain", text, bench::text_plain);
  benchmark::RegisterBenchmark("text_simd", text, bench::text_simd);
  for (const Kernel which : {Kernel::direct, Kernel::fused}) {
    for (const Isa isa : echelon::numeric::supported_isas()) {
      const std::string name =
          std::string{echelon::numeric::name(which)} + "_" + std::string{echelon::numeric::name(isa)};
      benchmark::RegisterBenchmark(name.c_str(), kernel, which, isa);
    }
    const std::string best = std::string{echelon::numeric::name(which)};
    benchmark::RegisterBenchmark(best.c_str(), kernel, which, echelon::numeric::best_isa(which));
  }
  benchmark::RegisterBenchmark("division_limit_32_bytes", limit, bench::divisions_32_bytes, 1.0);
  benchmark::RegisterBenchmark("division_limit_widest", limit, bench::divisions_widest, 1.0);
  // 31 + 32 of the polynomials, 3 for the centre, b and the group's number, 1 for the sum: 67 for 32 points.
  benchmark::RegisterBenchmark("fma_limit", limit, bench::fused_multiply_adds, 67.0 / 32);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
