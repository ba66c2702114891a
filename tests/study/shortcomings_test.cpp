#include <cstddef>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/study/shortcomings.hpp>

namespace echelon::study {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

/// Times of 1 s, of which the longest is `longest_s`.
analysis::StudyPoint point(std::uint64_t ranks, std::size_t runs, double longest_s = 1) {
  analysis::StudyPoint result{.ranks = ranks};
  for (std::size_t i = 0; i < runs; ++i) result.runs.push_back({.time_s = i == 0 ? longest_s : 1});
  return result;
}

Plan repeated(std::uint64_t repeat) {
  Plan plan;
  plan.repeat = repeat;
  return plan;
}

Plan precise(double precision) {
  Plan plan;
  plan.precision = precision;
  return plan;
}

TEST(shortcomings, whole_study_has_none) {
  EXPECT_THAT(shortcomings(repeated(3), std::vector{point(1, 3), point(2, 4)}), IsEmpty());
  EXPECT_THAT(shortcomings(precise(0.05), std::vector{point(1, 6, 1.04), point(2, 60, 1.5)}), IsEmpty());
}

TEST(shortcomings, points_with_fewer_runs_than_planned_are_named) {
  const std::vector points{point(1, 3), point(2, 2), point(4, 0)};
  EXPECT_THAT(shortcomings(repeated(3), points),
              ElementsAre(StartsWith("fewer runs than planned at 2 ranks, 4 ranks: the study has not ended; ")));
  Plan limited = repeated(3);
  limited.budget_s = 60;
  EXPECT_THAT(shortcomings(limited, points), ElementsAre(HasSubstr("or its budget is spent; ")));
  EXPECT_THAT(shortcomings(precise(0.05), points),
              ElementsAre(StartsWith("fewer runs than planned at 1 rank, 2 ranks, 4 ranks: ")));
}

TEST(shortcomings, failures_are_told_elsewhere) {
  std::vector points{point(1, 3), point(2, 0)};
  points[1].failures = 2;
  EXPECT_THAT(shortcomings(repeated(3), points), IsEmpty());
}

// Of six runs the interval is from the smallest to the largest.
TEST(shortcomings, points_that_are_not_as_precise_as_planned_are_named) {
  EXPECT_THAT(shortcomings(precise(0.02), std::vector{point(1, 6, 1.01), point(2, 6, 1.1)}),
              ElementsAre(AllOf(StartsWith("not as precise as planned at 2 ranks: "), HasSubstr(" 2 % "))));
}

}  // namespace
}  // namespace echelon::study
