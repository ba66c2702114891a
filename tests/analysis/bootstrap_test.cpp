#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/analysis/bootstrap.hpp>

namespace echelon::analysis {
namespace {

using testing::ElementsAre;

using Samples = std::vector<std::vector<double>>;

constexpr BootstrapOptions many{.seed = 11, .resamples = 200'000};

double share(const std::vector<double>& medians, double value) {
  return static_cast<double>(std::ranges::count(medians, value)) / static_cast<double>(medians.size());
}

// Of three draws of {1, 2, 3}, 7 of 27 have two or three ones; the rest follows by symmetry.
TEST(resampled_medians, of_three_values_have_the_exact_distribution) {
  const auto medians = resampled_medians(Samples{{3, 1, 2}}, many)[0];
  EXPECT_NEAR(share(medians, 1), 7.0 / 27, 0.004);
  EXPECT_NEAR(share(medians, 2), 13.0 / 27, 0.004);
  EXPECT_NEAR(share(medians, 3), 7.0 / 27, 0.004);
}

TEST(resampled_medians, of_two_values_have_the_exact_distribution) {
  const auto medians = resampled_medians(Samples{{4, 2}}, many)[0];
  EXPECT_NEAR(share(medians, 2), 0.25, 0.004);
  EXPECT_NEAR(share(medians, 3), 0.5, 0.004);
  EXPECT_NEAR(share(medians, 4), 0.25, 0.004);
}

// Efron 1979: of an odd number n, the median is at most the k-th with P(Bin(n, k / n) > n / 2).
TEST(resampled_medians, of_seven_values_have_the_exact_distribution) {
  const auto medians = resampled_medians(Samples{{1, 2, 3, 4, 5, 6, 7}}, many)[0];
  double below = 0;
  for (int k = 1; k <= 7; ++k) {
    const double p = k / 7.0;
    double at_most = 0;
    for (int i = 4; i <= 7; ++i) {
      const double ways = std::tgamma(8.0) / std::tgamma(i + 1.0) / std::tgamma(8.0 - i);
      at_most += ways * std::pow(p, i) * std::pow(1 - p, 7 - i);
    }
    EXPECT_NEAR(share(medians, k), at_most - below, 0.004) << k;
    below = at_most;
  }
}

TEST(resampled_medians, samples_are_independent) {
  const auto medians = resampled_medians(Samples{{0, 1}, {0, 1}}, many);
  double both = 0;
  for (std::size_t b = 0; b < many.resamples; ++b) both += medians[0][b] == 0 && medians[1][b] == 0 ? 1 : 0;
  EXPECT_NEAR(both / static_cast<double>(many.resamples), 1.0 / 16, 0.003);
}

// The draws of std::mt19937_64 and of their reduction are defined: a Python program written apart has the same medians.
TEST(resampled_medians, are_the_same_for_the_same_seed) {
  const Samples samples{{1, 2, 4, 8, 16, 32, 64}, {1, 10, 100, 1000}};
  const auto medians = resampled_medians(samples, {.seed = 42, .resamples = 6});
  EXPECT_THAT(medians, ElementsAre(ElementsAre(16, 16, 4, 4, 8, 16), ElementsAre(10, 1, 55, 55, 5.5, 10)));
  EXPECT_EQ(resampled_medians(samples, {.seed = 42, .resamples = 6}), medians);
  EXPECT_NE(resampled_medians(samples, {.seed = 43, .resamples = 6}), medians);
}

TEST(resampled_medians, one_value_is_its_own) {
  EXPECT_THAT(resampled_medians(Samples{{5}}, {.resamples = 3}), ElementsAre(ElementsAre(5, 5, 5)));
}

// Each row's sum is 8, so that of the medians of any draw of rows is.
TEST(resampled_medians_by_row, keep_rows_together) {
  const Samples columns{{1, 2, 3, 4, 5, 6, 7}, {7, 6, 5, 4, 3, 2, 1}};
  const auto medians = resampled_medians_by_row(columns, {.resamples = 1000});
  for (std::size_t b = 0; b < 1000; ++b) EXPECT_EQ(medians[0][b] + medians[1][b], 8);
  EXPECT_GT(*std::ranges::max_element(medians[0]), *std::ranges::min_element(medians[0]));
  const Samples one{{1, 2, 4, 8, 16, 32, 64}};
  EXPECT_EQ(resampled_medians_by_row(one, {.seed = 42, .resamples = 6})[0][0],
            resampled_medians(one, {.seed = 42, .resamples = 6})[0][0]);
  EXPECT_THROW(static_cast<void>(resampled_medians_by_row(Samples{{1, 2}, {1}})), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(resampled_medians_by_row(Samples{{}})), std::invalid_argument);
}

TEST(resampled_medians, empty_and_not_finite_samples_are_refused) {
  EXPECT_THROW(static_cast<void>(resampled_medians(Samples{{1, 2}, {}})), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(resampled_medians(Samples{{1, std::nan("")}})), std::invalid_argument);
}

void expect_percentiles(std::size_t resamples, double lower, double upper) {
  std::vector<double> values(resamples);
  std::iota(values.rbegin(), values.rend(), 1.0);
  const Interval interval = percentile_interval(values, 0.95);
  EXPECT_EQ(interval.lower, lower);
  EXPECT_EQ(interval.upper, upper);
  EXPECT_EQ(interval.confidence, 0.95);
}

TEST(percentile_interval, leaves_out_as_many_at_both_ends) {
  expect_percentiles(999, 25, 975);
  expect_percentiles(10'000, 250, 9751);
  expect_percentiles(10, 1, 10);
  expect_percentiles(1, 1, 1);
}

}  // namespace
}  // namespace echelon::analysis
