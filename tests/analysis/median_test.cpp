#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/analysis/median.hpp>

namespace echelon::analysis {
namespace {

void expect_bounds(std::size_t n, std::size_t lower, std::size_t upper, double confidence) {
  SCOPED_TRACE(n);
  const auto bounds = median_bounds(n);
  ASSERT_TRUE(bounds.has_value());
  EXPECT_EQ(bounds->lower, lower);
  EXPECT_EQ(bounds->upper, upper);
  EXPECT_NEAR(bounds->confidence, confidence, 0.0005);
}

// A table of 95 % intervals, as in Le Boudec, Performance Evaluation, 2010, appendix A, of which these are the
// symmetric ones.
TEST(median_bounds, are_those_of_the_table) {
  expect_bounds(6, 1, 6, 0.969);
  expect_bounds(7, 1, 7, 0.984);
  expect_bounds(8, 1, 8, 0.992);
  expect_bounds(9, 2, 8, 0.961);
  expect_bounds(10, 2, 9, 0.979);
  expect_bounds(12, 3, 10, 0.961);
  expect_bounds(15, 4, 12, 0.965);
  expect_bounds(17, 5, 13, 0.951);
  expect_bounds(20, 6, 15, 0.959);
  expect_bounds(30, 10, 21, 0.957);
}

/// 2^n times P(Bin(n, 1/2) < k), by Pascal's rule in integers.
std::uint64_t ways_below(std::size_t k, std::size_t n) {
  std::vector<std::uint64_t> row{1};
  for (std::size_t i = 0; i < n; ++i) {
    row.push_back(0);
    for (std::size_t j = row.size(); j-- > 1;) row[j] += row[j - 1];
  }
  std::uint64_t sum = 0;
  for (std::size_t j = 0; j < k; ++j) sum += row[j];
  return sum;
}

TEST(median_bounds, are_the_narrowest_that_have_the_confidence) {
  for (std::size_t n = 6; n <= 60; ++n) {
    SCOPED_TRACE(n);
    const auto bounds = median_bounds(n);
    ASSERT_TRUE(bounds.has_value());
    const double all = static_cast<double>(std::uint64_t{1} << n);
    const auto confidence = [&](std::size_t lower) { return 1 - 2 * static_cast<double>(ways_below(lower, n)) / all; };
    EXPECT_EQ(bounds->lower + bounds->upper, n + 1);
    EXPECT_DOUBLE_EQ(bounds->confidence, confidence(bounds->lower));
    EXPECT_GE(bounds->confidence, 0.95);
    EXPECT_LT(confidence(bounds->lower + 1), 0.95);
  }
}

TEST(median_bounds, there_are_none_of_too_few) {
  for (std::size_t n = 0; n < 6; ++n) EXPECT_FALSE(median_bounds(n).has_value()) << n;
  EXPECT_FALSE(median_bounds(7, 0.99).has_value());
  EXPECT_TRUE(median_bounds(8, 0.99).has_value());
}

// 500,000 - 1.96 sqrt(n) / 2 by the normal approximation.
TEST(median_bounds, of_very_many_are_normal) {
  const auto bounds = median_bounds(1'000'000);
  ASSERT_TRUE(bounds.has_value());
  EXPECT_NEAR(static_cast<double>(bounds->lower), 500'000 - 980, 2);
  EXPECT_NEAR(bounds->confidence, 0.95, 0.00025);
}

TEST(median_estimate, value_is_the_middle_one_or_the_mean_of_two) {
  EXPECT_EQ(median_estimate(std::vector{3.0}).value, 3);
  EXPECT_EQ(median_estimate(std::vector{4.0, 1.0}).value, 2.5);
  EXPECT_EQ(median_estimate(std::vector{9.0, 1.0, 2.0}).value, 2);
}

TEST(median_estimate, interval_is_of_order_statistics) {
  const Estimate estimate = median_estimate(std::vector{9.0, 2.0, 7.0, 4.0, 5.0, 6.0, 3.0, 8.0, 1.0, 10.0});
  EXPECT_EQ(estimate.value, 5.5);
  ASSERT_TRUE(estimate.interval.has_value());
  EXPECT_EQ(estimate.interval->lower, 2);
  EXPECT_EQ(estimate.interval->upper, 9);
  EXPECT_NEAR(estimate.interval->confidence, 1 - 22.0 / 1024, 1e-15);
}

TEST(median_estimate, five_values_have_no_interval_and_six_have) {
  EXPECT_FALSE(median_estimate(std::vector(5, 1.0)).interval.has_value());
  EXPECT_TRUE(median_estimate(std::vector(6, 1.0)).interval.has_value());
}

TEST(median_estimate, equal_values_and_zeros_have_an_interval_of_no_width) {
  for (const double value : {0.0, 7.5}) {
    const Estimate estimate = median_estimate(std::vector(10, value));
    EXPECT_EQ(estimate.value, value);
    EXPECT_EQ(estimate.interval->lower, value);
    EXPECT_EQ(estimate.interval->upper, value);
  }
}

TEST(median_estimate, nothing_and_what_is_not_finite_are_refused) {
  EXPECT_THROW(static_cast<void>(median_estimate({})), std::invalid_argument);
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    EXPECT_THROW(static_cast<void>(median_estimate(std::vector{1.0, bad, 2.0})), std::invalid_argument);
  }
}

}  // namespace
}  // namespace echelon::analysis
