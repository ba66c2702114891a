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

PopRun run_of(const std::vector<measure::RankRecord>& ranks) { return {pop_efficiency(ranks), useful_time_s(ranks)}; }

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
TEST(pop_factors, global_efficiency_over_the_baselines_is_the_efficiency) {
  std::mt19937_64 random{7};
  for (const std::size_t base_count : {1U, 2U, 5U}) {
    for (const std::size_t count : {2U, 8U, 33U}) {
      constexpr double base_s = 60;
      constexpr double time_s = 11;
      const std::vector<PopRun> base{run_of(ranks_of(base_count, base_s, random))};
      const std::vector<PopRun> runs{run_of(ranks_of(count, time_s, random))};
      const double more = static_cast<double>(count) / static_cast<double>(base_count);
      for (const Scaling scaling : {Scaling::strong, Scaling::weak}) {
        const double efficiency = base_s / time_s / (scaling == Scaling::strong ? more : 1);
        const double global_base = pop_factors(base, base, scaling, 1).global;
        EXPECT_NEAR(pop_factors(runs, base, scaling, more).global / global_base, efficiency, 1e-12 * efficiency);
      }
    }
  }
}

// Medians of {0.70 ... 0.75} and so on; computation scalability 100 / 125.
TEST(pop_factors, of_six_runs_have_medians_and_intervals) {
  std::vector<PopRun> runs;
  for (int i = 0; i < 6; ++i) runs.push_back({{0.70 + 0.01 * i, 0.90 + 0.01 * i, 0.60 + 0.01 * i}, 124.5 + 0.2 * i});
  const std::vector<PopRun> base(6, {{1, 1, 1}, 100});
  const PopFactors factors = pop_factors(runs, base, Scaling::strong, 4);
  EXPECT_DOUBLE_EQ(factors.load_balance.value, 0.725);
  EXPECT_DOUBLE_EQ(factors.load_balance.interval->lower, 0.70);
  EXPECT_DOUBLE_EQ(factors.load_balance.interval->upper, 0.75);
  EXPECT_DOUBLE_EQ(factors.communication.value, 0.925);
  EXPECT_DOUBLE_EQ(factors.parallel.value, 0.625);
  EXPECT_DOUBLE_EQ(factors.computation_scalability.value, 0.8);
  EXPECT_TRUE(factors.computation_scalability.interval->contains(0.8));
  EXPECT_DOUBLE_EQ(factors.global, 0.5);
  EXPECT_DOUBLE_EQ(pop_factors(runs, base, Scaling::weak, 4).computation_scalability.value, 3.2);
}

TEST(pop_factors, few_runs_have_no_intervals_and_none_is_refused) {
  const std::vector<PopRun> five(5, {{1, 1, 1}, 100});
  const std::vector<PopRun> base(6, {{1, 1, 1}, 100});
  EXPECT_FALSE(pop_factors(five, base, Scaling::strong, 2).load_balance.interval.has_value());
  EXPECT_FALSE(pop_factors(five, base, Scaling::strong, 2).computation_scalability.interval.has_value());
  EXPECT_THROW(static_cast<void>(pop_factors({}, base, Scaling::strong, 2)), std::invalid_argument);
  const std::vector<PopRun> idle(1, {{1, 1, 1}, 0});
  EXPECT_THROW(static_cast<void>(pop_factors(idle, base, Scaling::strong, 2)), std::invalid_argument);
}

}  // namespace
}  // namespace echelon::analysis
