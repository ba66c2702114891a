#include <algorithm>
#include <random>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/analysis/pop.hpp>

namespace echelon::analysis {
namespace {

measure::RankRecord rank(double compute_s, double communicate_s, double wait_s) {
  measure::RankRecord record;
  record.startup_s = 100;  // never counts
  record.compute_s = compute_s;
  record.communicate_s = communicate_s;
  record.wait_s = wait_s;
  return record;
}

void expect(const std::vector<measure::RankRecord>& ranks, double load_balance, double communication, double parallel) {
  const measure::Efficiency efficiency = pop_efficiency(ranks);
  EXPECT_DOUBLE_EQ(efficiency.load_balance, load_balance);
  EXPECT_DOUBLE_EQ(efficiency.communication, communication);
  EXPECT_DOUBLE_EQ(efficiency.parallel, parallel);
}

// mean(U) = 6, max(U) = 8, T = 10.
TEST(pop_efficiency, uneven_ranks_agree_with_hand_computation) {
  expect({rank(8, 1, 1), rank(4, 1, 5)}, 0.75, 0.8, 0.6);
}

// The longest region is not that of the rank that computed most: mean(U) = 5, max(U) = 6, T = 4 + 6 + 2 = 12.
TEST(pop_efficiency, longest_region_of_any_rank_counts) {
  expect({rank(6, 0, 0), rank(4, 6, 2), rank(5, 0, 0)}, 5.0 / 6.0, 0.5, 5.0 / 12.0);
}

TEST(pop_efficiency, one_rank_is_balanced) { expect({rank(3, 1, 0)}, 1, 0.75, 0.75); }

TEST(pop_efficiency, idle_rank_counts) { expect({rank(2, 0, 0), rank(0, 0, 2)}, 0.5, 1, 0.5); }

TEST(pop_efficiency, perfect_ranks_are_one) { expect({rank(2, 0, 0), rank(2, 0, 0)}, 1, 1, 1); }

TEST(pop_efficiency, nothing_measured_is_one) {
  expect({}, 1, 1, 1);
  expect({rank(0, 0, 0), rank(0, 1, 1)}, 1, 1, 1);
}

TEST(useful_time, is_the_sum_of_what_ranks_computed) {
  EXPECT_EQ(useful_time_s(std::vector{rank(3, 1, 1), rank(4, 9, 9)}), 7);
  EXPECT_EQ(useful_time_s({}), 0);
}

PopRun run_of(const std::vector<measure::RankRecord>& ranks, double time_s) {
  return {useful_time_s(ranks), std::ranges::max(ranks, {}, &measure::RankRecord::compute_s).compute_s, time_s,
          ranks.size()};
}

std::vector<PopRun> runs_of(std::size_t count, PopRun run) { return std::vector<PopRun>(count, run); }

/// Ranks whose regions end together after time_s, as after a barrier.
std::vector<measure::RankRecord> ranks_of(std::size_t count, double time_s, std::mt19937_64& random) {
  std::vector<measure::RankRecord> ranks;
  for (std::size_t i = 0; i < count; ++i) {
    const double compute_s = time_s * (0.5 + 0.4 * static_cast<double>(random() >> 11) * 0x1p-53);
    const double communicate_s = (time_s - compute_s) / 3;
    ranks.push_back(rank(compute_s, communicate_s, time_s - compute_s - communicate_s));
  }
  return ranks;
}

// scaling.md 4.1: E(p) relative to p0 is GE(p) / GE(p0), whatever the ranks did. Where it is not, time leaks.
// So, too, of medians over several runs, and parallel is load balance * communication.
TEST(pop_factors, global_efficiency_over_the_baselines_is_the_efficiency) {
  std::mt19937_64 random{7};
  std::lognormal_distribution<double> noise{0, 0.1};
  for (const std::size_t base_count : {1U, 2U, 5U}) {
    for (const std::size_t count : {2U, 8U, 33U}) {
      Sample base_times{static_cast<double>(base_count), {}};
      Sample times{static_cast<double>(count), {}};
      std::vector<PopRun> base;
      std::vector<PopRun> runs;
      for (int i = 0; i < 7; ++i) {
        base_times.times_s.push_back(60 * noise(random));
        base.push_back(run_of(ranks_of(base_count, base_times.times_s.back(), random), base_times.times_s.back()));
        times.times_s.push_back(11 * noise(random));
        runs.push_back(run_of(ranks_of(count, times.times_s.back(), random), times.times_s.back()));
      }
      const double more = times.processors / base_times.processors;
      for (const Scaling scaling : {Scaling::strong, Scaling::weak}) {
        const double efficiency = speedups(std::vector{base_times, times}, 0, scaling)[1].efficiency.value;
        const double global_base = pop_factors(base, base, scaling, 1).global;
        const PopFactors factors = pop_factors(runs, base, scaling, more);
        EXPECT_NEAR(factors.global / global_base, efficiency, 1e-12 * efficiency);
        EXPECT_NEAR(factors.parallel.value, factors.load_balance.value * factors.communication.value, 1e-12);
      }
    }
  }
}

// Four ranks; computation scalability 100 / 125.
TEST(pop_factors, of_six_runs_are_ratios_of_medians_with_intervals) {
  std::vector<PopRun> runs;
  for (int i = 0; i < 6; ++i) runs.push_back({124.5 + 0.2 * i, 39.5 + 0.2 * i, 49.5 + 0.2 * i, 4});
  const std::vector<PopRun> base = runs_of(6, {100, 100, 100, 1});
  const PopFactors factors = pop_factors(runs, base, Scaling::strong, 4);
  EXPECT_DOUBLE_EQ(factors.load_balance.value, 125.0 / 4 / 40);
  EXPECT_DOUBLE_EQ(factors.communication.value, 40.0 / 50);
  EXPECT_DOUBLE_EQ(factors.parallel.value, 125.0 / 4 / 50);
  EXPECT_DOUBLE_EQ(factors.computation_scalability.value, 0.8);
  EXPECT_DOUBLE_EQ(factors.global, 0.5);
  EXPECT_TRUE(factors.computation_scalability.interval->contains(0.8));
  for (const Estimate& factor : {factors.load_balance, factors.communication, factors.parallel}) {
    EXPECT_LT(factor.interval->lower, factor.value);
    EXPECT_GT(factor.interval->upper, factor.value);
  }
  EXPECT_DOUBLE_EQ(pop_factors(runs, base, Scaling::weak, 4).computation_scalability.value, 3.2);
}

// All seconds of a run grow together here, so their ratios do not vary, which intervals of separate resamples would
// miss.
TEST(pop_factors, intervals_keep_the_seconds_of_a_run_together) {
  std::vector<PopRun> runs;
  for (int i = 1; i <= 9; ++i) runs.push_back({3.0 * i, 2.0 * i, 4.0 * i, 2});
  const PopFactors factors = pop_factors(runs, runs, Scaling::strong, 1);
  EXPECT_DOUBLE_EQ(factors.load_balance.interval->lower, 0.75);
  EXPECT_DOUBLE_EQ(factors.load_balance.interval->upper, 0.75);
  EXPECT_DOUBLE_EQ(factors.communication.interval->lower, 0.5);
  EXPECT_DOUBLE_EQ(factors.parallel.interval->upper, 0.375);
}

TEST(pop_factors, few_runs_have_no_intervals_and_none_is_refused) {
  const std::vector<PopRun> five = runs_of(5, {100, 100, 100, 1});
  const std::vector<PopRun> base = runs_of(6, {100, 100, 100, 1});
  EXPECT_FALSE(pop_factors(five, base, Scaling::strong, 2).load_balance.interval.has_value());
  EXPECT_FALSE(pop_factors(five, base, Scaling::strong, 2).computation_scalability.interval.has_value());
  EXPECT_THROW(static_cast<void>(pop_factors({}, base, Scaling::strong, 2)), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(pop_factors(runs_of(1, {0, 0, 100, 1}), base, Scaling::strong, 2)),
               std::invalid_argument);
  EXPECT_THROW(
      static_cast<void>(pop_factors(std::vector<PopRun>{{1, 1, 1, 1}, {1, 1, 1, 2}}, base, Scaling::strong, 2)),
      std::invalid_argument);
}

}  // namespace
}  // namespace echelon::analysis
