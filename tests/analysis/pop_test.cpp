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

}  // namespace
}  // namespace echelon::analysis
