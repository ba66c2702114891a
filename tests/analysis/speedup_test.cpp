#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/analysis/speedup.hpp>

namespace echelon::analysis {
namespace {

std::vector<double> around(double median_s) {
  return {0.98 * median_s, 0.99 * median_s, median_s, median_s, 1.01 * median_s, 1.02 * median_s};
}

void expect_inside(const Estimate& estimate, double lowest, double highest) {
  ASSERT_TRUE(estimate.interval.has_value());
  EXPECT_LT(estimate.interval->lower, estimate.value);
  EXPECT_GT(estimate.interval->upper, estimate.value);
  EXPECT_GE(estimate.interval->lower, lowest);
  EXPECT_LE(estimate.interval->upper, highest);
  EXPECT_EQ(estimate.interval->confidence, 0.95);
}

// S = 12 / 4, E = 3 / 4, e = (1/3 - 1/4) / (3/4).
TEST(speedups, strong_agree_with_hand_computation) {
  const auto found = speedups(std::vector<Sample>{{2, around(12)}, {8, around(4)}}, 0, Scaling::strong);
  EXPECT_DOUBLE_EQ(found[1].speedup.value, 3);
  EXPECT_DOUBLE_EQ(found[1].efficiency.value, 0.75);
  ASSERT_TRUE(found[1].serial_fraction.has_value());
  EXPECT_NEAR(found[1].serial_fraction->value, 1.0 / 9, 1e-15);
  expect_inside(found[1].speedup, 3 * 0.98 / 1.02, 3 * 1.02 / 0.98);
  expect_inside(found[1].efficiency, 0.75 * 0.98 / 1.02, 0.75 * 1.02 / 0.98);
  expect_inside(*found[1].serial_fraction, 0.09, 0.14);
}

// E = 12 / 15, S = 4 * 0.8, s = (4 - 3.2) / 3.
TEST(speedups, weak_agree_with_hand_computation) {
  const auto found = speedups(std::vector<Sample>{{2, around(12)}, {8, around(15)}}, 0, Scaling::weak);
  EXPECT_DOUBLE_EQ(found[1].efficiency.value, 0.8);
  EXPECT_DOUBLE_EQ(found[1].speedup.value, 3.2);
  EXPECT_NEAR(found[1].serial_fraction->value, 0.8 / 3, 1e-15);
  EXPECT_DOUBLE_EQ(found[1].speedup.interval->lower, 4 * found[1].efficiency.interval->lower);
}

TEST(speedups, intervals_of_one_ratio_are_transforms_of_each_other) {
  const auto found = speedups(std::vector<Sample>{{1, around(8)}, {4, around(2.5)}}, 0, Scaling::strong);
  const Interval speedup = *found[1].speedup.interval;
  EXPECT_DOUBLE_EQ(found[1].efficiency.interval->upper, speedup.upper / 4);
  EXPECT_DOUBLE_EQ(found[1].serial_fraction->interval->lower, (1 / speedup.upper - 0.25) / 0.75);
  EXPECT_DOUBLE_EQ(found[1].serial_fraction->interval->upper, (1 / speedup.lower - 0.25) / 0.75);
}

TEST(speedups, baseline_is_one_and_has_no_interval) {
  const auto found = speedups(std::vector<Sample>{{1, around(8)}, {2, around(4)}}, 1, Scaling::strong);
  EXPECT_EQ(found[1].speedup.value, 1);
  EXPECT_EQ(found[1].efficiency.value, 1);
  EXPECT_FALSE(found[1].speedup.interval.has_value());
  EXPECT_FALSE(found[1].serial_fraction.has_value());
  EXPECT_DOUBLE_EQ(found[0].speedup.value, 0.5);
  EXPECT_DOUBLE_EQ(found[0].efficiency.value, 1);
  EXPECT_FALSE(found[0].serial_fraction.has_value());
}

TEST(speedups, fewer_than_six_runs_on_either_side_have_no_interval) {
  const std::vector<double> five{1, 1.1, 1.2, 1.3, 1.4};
  for (const auto& samples : {std::vector<Sample>{{1, five}, {2, around(1)}}, {{1, around(1)}, {2, five}}}) {
    EXPECT_FALSE(speedups(samples, 0, Scaling::strong)[1].speedup.interval.has_value());
  }
}

// The noise is the baseline's alone: each resample must give the same ratio of the other two.
TEST(speedups, error_of_the_baseline_is_in_all_of_them) {
  const std::vector<Sample> samples{{1, around(8)}, {2, std::vector(6, 4.0)}, {4, std::vector(6, 2.0)}};
  const auto found = speedups(samples, 0, Scaling::strong);
  EXPECT_LT(found[1].speedup.interval->lower, found[1].speedup.interval->upper);
  EXPECT_DOUBLE_EQ(found[2].speedup.interval->lower, 2 * found[1].speedup.interval->lower);
  EXPECT_DOUBLE_EQ(found[2].speedup.interval->upper, 2 * found[1].speedup.interval->upper);
}

TEST(speedups, equal_times_have_an_interval_of_no_width) {
  const auto found =
      speedups(std::vector<Sample>{{1, std::vector(6, 8.0)}, {2, std::vector(9, 4.0)}}, 0, Scaling::strong);
  EXPECT_EQ(found[1].speedup.interval->lower, 2);
  EXPECT_EQ(found[1].speedup.interval->upper, 2);
}

TEST(speedups, same_seed_has_the_same_bits_and_another_has_not) {
  const std::vector<Sample> samples{{1, around(8.1)}, {2, around(4.3)}};
  const auto lower = [&](std::uint64_t seed) {
    return speedups(samples, 0, Scaling::strong, {.seed = seed, .resamples = 100})[1].speedup.interval->lower;
  };
  EXPECT_EQ(lower(5), lower(5));
  bool differs = false;
  for (std::uint64_t seed = 6; seed < 16; ++seed) differs = differs || lower(seed) != lower(5);
  EXPECT_TRUE(differs);
}

TEST(speedups, times_that_are_not_positive_and_finite_are_refused) {
  for (const double bad : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    const std::vector<Sample> samples{{1, {1, 2}}, {2, {1, bad}}};
    EXPECT_THROW(static_cast<void>(speedups(samples, 0, Scaling::strong)), std::invalid_argument) << bad;
  }
  EXPECT_THROW(static_cast<void>(speedups(std::vector<Sample>{{1, {}}}, 0, Scaling::strong)), std::invalid_argument);
}

TEST(ratio_of_medians, is_the_quotient_with_an_interval) {
  const Estimate ratio = ratio_of_medians(around(3), around(2));
  EXPECT_DOUBLE_EQ(ratio.value, 1.5);
  expect_inside(ratio, 1.5 * 0.98 / 1.02, 1.5 * 1.02 / 0.98);
}

}  // namespace
}  // namespace echelon::analysis
