#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/analysis/compare.hpp>
#include <echelon/analysis/speedup.hpp>
#include <echelon/base/error.hpp>

#include "analysis/noise.hpp"

namespace echelon::analysis {
namespace {

using testing::ElementsAre;
using testing::Pointwise;

StudyPoint point(std::uint64_t ranks, const std::vector<double>& times_s, std::uint64_t threads = 1) {
  StudyPoint result{.ranks = ranks, .threads = threads};
  for (const double time_s : times_s) {
    StudyRun run;
    run.time_s = time_s;
    result.runs.push_back(run);
  }
  return result;
}

PointComparison compare_times(const std::vector<double>& first, const std::vector<double>& second) {
  return compare(std::vector{point(1, first)}, std::vector{point(1, second)}).points.at(0);
}

// As R's p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm"): 4 * 0.005, 3 * 0.01, 2 * 0.03, and 0.04 not below the last.
TEST(compare, holm_is_as_computed_by_hand) {
  EXPECT_THAT(holm(std::vector{0.01, 0.04, 0.03, 0.005}), Pointwise(testing::DoubleEq(), {0.03, 0.06, 0.06, 0.02}));
  EXPECT_THAT(holm(std::vector{0.6, 0.9}), ElementsAre(1, 1));
  EXPECT_THAT(holm(std::vector<double>{}), ElementsAre());
}

// 2 / C(12, 6) = 2 / 924, whatever the bootstrap promises.
TEST(compare, p_value_is_not_below_what_so_few_runs_can_show) {
  const PointComparison found = compare_times({1.0, 1.1, 1.2, 1.3, 1.4, 1.5}, {2.0, 2.1, 2.2, 2.3, 2.4, 2.5});
  EXPECT_DOUBLE_EQ(*found.p_value, 2.0 / 924);
  EXPECT_EQ(found.difference, Difference::slower);
  EXPECT_DOUBLE_EQ(found.ratio->value, 2.25 / 1.25);
  EXPECT_DOUBLE_EQ(*found.first_s, 1.25);
  EXPECT_DOUBLE_EQ(*found.second_s, 2.25);
}

TEST(compare, is_of_the_second_study) {
  EXPECT_EQ(compare_times({2, 2, 2, 2, 2, 2, 2}, {1, 1, 1, 1, 1, 1, 1}).difference, Difference::faster);
  const PointComparison same = compare_times({2, 2, 2, 2, 2, 2}, {2, 2, 2, 2, 2, 2});
  EXPECT_EQ(same.difference, Difference::none_shown);
  EXPECT_DOUBLE_EQ(*same.p_value, 1);
}

TEST(compare, p_value_inverts_the_interval) {
  Noise noise{Noise::Kind::lognormal, 0.03, 5};
  for (int i = 0; i < 50; ++i) {
    const std::vector<double> first = noise.times_s(1, 10);
    const std::vector<double> second = noise.times_s(1.03, 10);
    const PointComparison found = compare_times(first, second);
    EXPECT_EQ(*found.p_value <= 0.05, !found.ratio->interval->contains(1)) << *found.p_value;
  }
}

TEST(compare, needs_as_many_runs_as_an_interval) {
  const std::vector<double> few(fewest_for_interval - 1, 1);
  const std::vector<double> enough(fewest_for_interval, 2);
  for (const PointComparison& found : {compare_times(few, enough), compare_times(enough, few)}) {
    EXPECT_EQ(found.difference, Difference::too_few_runs);
    EXPECT_FALSE(found.p_value);
    EXPECT_TRUE(found.ratio);
    EXPECT_FALSE(found.ratio->interval);
  }
  const PointComparison none = compare_times({}, enough);
  EXPECT_EQ(none.difference, Difference::too_few_runs);
  EXPECT_FALSE(none.first_s);
  EXPECT_FALSE(none.ratio);
}

TEST(compare, points_are_matched_by_ranks_and_threads) {
  const std::vector<double> times(6, 1);
  const std::vector first{point(8, times), point(1, times), point(2, times, 2), point(16, times)};
  const std::vector second{point(1, times), point(4, times), point(8, times), point(2, times, 4)};
  const Comparison found = compare(first, second);
  ASSERT_EQ(found.points.size(), 2U);
  EXPECT_EQ(found.points[0].ranks, 1U);
  EXPECT_EQ(found.points[1].ranks, 8U);
  EXPECT_THAT(found.only_first, ElementsAre(Layout{2, 2}, Layout{16, 1}));
  EXPECT_THAT(found.only_second, ElementsAre(Layout{4, 1}, Layout{2, 4}));
}

// One point alone would be called slower; among ten it is not.
TEST(compare, verdicts_are_corrected_for_the_number_of_points) {
  const std::vector<double> base{1.0, 1.01, 1.02, 1.03, 1.04, 1.05};
  const std::vector<double> shifted{1.02, 1.045, 1.05, 1.055, 1.06, 1.07};
  const double alone = *compare_times(base, shifted).p_value;
  ASSERT_LE(alone, 0.05);
  ASSERT_GT(alone, 0.005);
  std::vector<StudyPoint> first{point(1, base)};
  std::vector<StudyPoint> second{point(1, shifted)};
  for (std::uint64_t ranks = 2; ranks <= 10; ++ranks) {
    first.push_back(point(ranks, base));
    second.push_back(point(ranks, base));
  }
  const Comparison found = compare(first, second);
  EXPECT_DOUBLE_EQ(*found.points[0].p_value, 10 * alone);
  EXPECT_EQ(found.points[0].difference, Difference::none_shown);
}

// 2 / C(12, 6) = 0.00216 is at most 0.05 / 23; 2 / C(14, 7) = 0.000583 at most 0.05 / 85.
TEST(compare, points_so_many_that_runs_cannot_tell_have_too_few) {
  for (const auto& [points, runs, needed] : {std::tuple{23U, 6U, 6U}, {24U, 6U, 7U}, {24U, 7U, 7U}, {86U, 7U, 8U}}) {
    std::vector<StudyPoint> first;
    std::vector<StudyPoint> second;
    for (std::uint64_t ranks = 1; ranks <= points; ++ranks) {
      first.push_back(point(ranks, std::vector<double>(runs, 1)));
      second.push_back(point(ranks, std::vector<double>(runs, 2)));
    }
    const Comparison found = compare(first, second, {.resamples = 100'000});
    EXPECT_EQ(found.runs_for_verdict, needed) << points;
    EXPECT_EQ(found.points[0].difference, runs < needed ? Difference::too_few_runs : Difference::slower) << points;
  }
}

TEST(compare, different_times_are_not_compared) {
  const std::vector<double> times(6, 1);
  std::vector first{point(1, times)};
  first[0].startup_counted = true;
  EXPECT_THROW((void)compare(first, std::vector{point(1, times)}), base::UsageError);
  EXPECT_NO_THROW((void)compare(first, std::vector{point(1, {})})) << "what did not run has no times";
  EXPECT_THROW((void)compare(std::vector{point(1, {0})}, std::vector{point(1, times)}), std::invalid_argument);
}

/// How often any verdict names a difference between studies that have none.
double wrong_verdicts(Noise noise, std::size_t points, std::size_t n, int studies) {
  std::uint64_t seed = 0;
  return coverage(
      [&] {
        std::vector<StudyPoint> first;
        std::vector<StudyPoint> second;
        for (std::uint64_t ranks = 1; ranks <= points; ++ranks) {
          first.push_back(point(ranks, noise.times_s(1, n)));
          second.push_back(point(ranks, noise.times_s(1, n)));
        }
        const Comparison found = compare(first, second, {.seed = ++seed, .resamples = 1000});
        return std::ranges::any_of(found.points, [](const auto& p) { return p.difference != Difference::none_shown; });
      },
      studies);
}

TEST(compare, equal_studies_are_seldom_called_different) {
  constexpr int studies = simulated_studies / 2;
  // Three standard deviations of a frequency of 5 %.
  const double most = 0.05 + 3 * std::sqrt(0.05 * 0.95 / studies);
  for (const auto& [kind, variation] : {std::pair{Noise::Kind::lognormal, 0.03}, {Noise::Kind::stragglers, 0.015}}) {
    for (const std::size_t points : {1, 6}) {
      for (const std::size_t n : {6, 10, 30}) {
        EXPECT_LE(wrong_verdicts(Noise{kind, variation, n}, points, n, studies), most) << points << " points, n " << n;
      }
    }
  }
}

// 10 % at a variation of 3 %, ten runs each: more than seven standard errors.
TEST(compare, a_difference_is_seen) {
  Noise noise{Noise::Kind::lognormal, 0.03, 9};
  int seen = 0;
  for (int i = 0; i < 100; ++i) {
    if (compare_times(noise.times_s(1, 10), noise.times_s(1.1, 10)).difference == Difference::slower) ++seen;
  }
  EXPECT_GE(seen, 99);
}

}  // namespace
}  // namespace echelon::analysis
