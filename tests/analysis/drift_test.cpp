#include <cmath>
#include <random>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/analysis/drift.hpp>

#include "analysis/noise.hpp"

namespace echelon::analysis {
namespace {

using Groups = std::vector<std::vector<OrderedTime>>;

std::vector<OrderedTime> in_order(const std::vector<double>& times_s) {
  std::vector<OrderedTime> group;
  for (const double time_s : times_s) group.push_back({group.size(), time_s});
  return group;
}

// Score 45, variance 10 * 9 * 25 / 18 = 125, z = 44 / sqrt(125) = 3.9355.
TEST(drift, rising_times_agree_with_hand_computation) {
  const auto found = drift(Groups{in_order({1, 2, 3, 4, 5, 6, 7, 8, 9, 10})});
  EXPECT_NEAR(found->p_value, 8.30e-5, 0.01e-5);
}

// Score 2, variance (3 * 2 * 11 - 2 * 1 * 9) / 18 = 8/3, z = 1 / sqrt(8/3) = 0.6124.
TEST(drift, ties_agree_with_hand_computation) {
  EXPECT_NEAR(drift(Groups{in_order({1, 1, 2})})->p_value, 0.5403, 0.0001);
}

TEST(drift, size_is_from_the_first_run_to_the_last) {
  const auto grown = [](double rate) {
    std::vector<double> times_s;
    for (int i = 0; i < 10; ++i) times_s.push_back(7 * std::exp(rate * i));
    return drift(Groups{in_order(times_s)})->relative_change;
  };
  EXPECT_NEAR(grown(0.01), std::expm1(0.09), 1e-12);
  EXPECT_NEAR(grown(-0.01), std::expm1(-0.09), 1e-12);
}

// Interleaved, as randomised blocks are: the levels differ by far more than the drift.
TEST(drift, levels_of_groups_do_not_count) {
  Groups groups(2);
  for (std::uint64_t i = 0; i < 10; ++i) {
    const double drifted = 1 + 0.001 * static_cast<double>(i);
    groups[0].push_back({2 * i, drifted});
    groups[1].push_back({2 * i + 1, 100 * drifted});
  }
  const auto found = drift(groups);
  // Score 90, variance 250: z = 89 / sqrt(250) = 5.629.
  EXPECT_NEAR(found->p_value, 1.81e-8, 0.01e-8);
  EXPECT_NEAR(found->relative_change, 0.0095, 0.0002);
}

TEST(drift, order_is_that_of_the_runs_not_of_the_list) {
  const auto found = drift(Groups{{{2, 3}, {0, 1}, {1, 2}, {3, 4}}});
  EXPECT_GT(found->relative_change, 0);
  EXPECT_LT(found->p_value, 0.1);
}

TEST(drift, size_of_very_many_runs_is_found) {
  std::vector<double> times_s;
  for (int i = 0; i < 2500; ++i) times_s.push_back(std::exp(1e-4 * i));
  EXPECT_NEAR(drift(Groups{in_order(times_s)})->relative_change, std::expm1(0.2499), 1e-9);
}

TEST(drift, equal_times_and_single_runs_have_none) {
  EXPECT_EQ(drift(Groups{in_order({2, 2, 2, 2})})->p_value, 1);
  EXPECT_EQ(drift(Groups{in_order({2, 2, 2, 2})})->relative_change, 0);
  EXPECT_FALSE(drift(Groups{in_order({1}), in_order({2}), {}}).has_value());
  EXPECT_FALSE(drift(Groups{}).has_value());
}

TEST(drift, times_that_are_not_positive_and_finite_are_refused) {
  for (const double bad : {0.0, std::nan("")}) {
    EXPECT_THROW(static_cast<void>(drift(Groups{in_order({1, bad})})), std::invalid_argument);
  }
}

TEST(drift, false_alarms_are_as_rare_as_the_p_value_says) {
  Noise noise{Noise::Kind::stragglers, 0.015, 1};
  const double alarms = coverage([&] {
    return drift(Groups{in_order(noise.times_s(1, 10)), in_order(noise.times_s(3, 10))})->p_value < 0.05;
  });
  EXPECT_LT(alarms, 0.07);
  EXPECT_GT(alarms, 0.02);
}

}  // namespace
}  // namespace echelon::analysis
