#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/analysis/study.hpp>
#include <echelon/analysis/study_warnings.hpp>

namespace echelon::analysis {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

/// Points of ten runs each, interleaved, that scatter by 1 % and scale well; nothing is wrong with them.
std::vector<StudyPoint> clean_points() {
  constexpr double scatter[] = {0.99, 1.01, 1.0, 0.995, 1.005, 1.01, 0.99, 1.0, 1.005, 0.995};
  std::vector<StudyPoint> points(3);
  for (std::size_t i = 0; i < points.size(); ++i) {
    points[i].ranks = std::uint64_t{1} << i;
    points[i].cpus_allowed = 4;
    for (std::size_t run = 0; run < 10; ++run) {
      const double time_s = (1 + 0.1 * static_cast<double>(i)) / static_cast<double>(points[i].ranks);
      points[i].runs.push_back({.sequence = 3 * run + i, .time_s = 10 * time_s * scatter[run]});
    }
  }
  return points;
}

std::vector<std::string> warnings_of(const std::vector<StudyPoint>& points) { return analyse(points).warnings; }

void scale(StudyPoint& point, double factor) {
  for (StudyRun& run : point.runs) run.time_s *= factor;
}

TEST(study_warnings, clean_study_has_none) { EXPECT_THAT(warnings_of(clean_points()), IsEmpty()); }

TEST(study_warnings, points_that_lost_ranks_are_named) {
  auto points = clean_points();
  points[1].runs[2].lost_ranks = 1;
  EXPECT_THAT(warnings_of(points), ElementsAre(StartsWith("ranks were lost at 2 ranks: ")));
}

TEST(study_warnings, work_that_is_not_in_proportion_is_named) {
  auto points = clean_points();
  for (StudyPoint& point : points) point.work = 1000.0 * static_cast<double>(point.ranks);
  points[1].work = 1995;  // rounded to blocks of something
  EXPECT_THAT(warnings_of(points), IsEmpty());
  points[2].work = 1000 * 16;
  EXPECT_THAT(warnings_of(points), ElementsAre(AllOf(StartsWith("work not in proportion at 4 ranks: "),
                                                     HasSubstr("there than at 1 rank, "))));
}

TEST(study_warnings, oversubscribed_points_are_named) {
  auto points = clean_points();
  points[2].cpus_allowed = 3;
  EXPECT_THAT(warnings_of(points), ElementsAre(StartsWith("oversubscribed at 4 ranks: ")));
  points[1].threads = 2;
  points[1].oversubscribed = true;
  EXPECT_THAT(warnings_of(points), ElementsAre(StartsWith("oversubscribed at 2 ranks x 2 threads, 4 ranks: ")));
  points = clean_points();
  for (StudyPoint& point : points) point.cpus_allowed = 0;  // unknown
  EXPECT_THAT(warnings_of(points), IsEmpty());
}

TEST(study_warnings, drift_is_told_with_its_size_and_direction) {
  for (const double rate : {0.003, -0.003}) {
    auto points = clean_points();
    for (StudyPoint& point : points) {
      for (StudyRun& run : point.runs) run.time_s *= 1 + rate * static_cast<double>(run.sequence);
    }
    EXPECT_THAT(warnings_of(points),
                ElementsAre(AllOf(StartsWith(rate > 0 ? "drift: times grew by " : "drift: times fell by "),
                                  HasSubstr("p = "), HasSubstr("quiet machine"))));
  }
}

TEST(study_warnings, drift_too_small_to_matter_is_not_told) {
  auto points = clean_points();
  for (StudyPoint& point : points) {
    for (StudyRun& run : point.runs)
      run.time_s = 10 / static_cast<double>(point.ranks) * (1 + 1e-4 * static_cast<double>(run.sequence));
  }
  EXPECT_THAT(warnings_of(points), IsEmpty());
}

// Of three runs, no order is improbable.
TEST(study_warnings, drift_that_may_be_chance_is_not_told) {
  auto points = clean_points();
  for (StudyPoint& point : points) {
    point.runs.resize(3);
    point.runs[1].time_s = 1.02 * point.runs[0].time_s;
    point.runs[2].time_s = 1.01 * point.runs[0].time_s;
  }
  EXPECT_THAT(warnings_of(points), ElementsAre(StartsWith("few repetitions at 1 rank, 2 ranks, 4 ranks: ")));
}

void add_hosts(std::vector<StudyPoint>& points, double slow_pace, std::uint64_t items) {
  for (StudyRun& run : points[2].runs) {
    run.hosts = {{"node1", 1, items, 2.0}, {"node2", 2, 2 * items, 4 * slow_pace}, {"node3", 1, items, 2.02}};
  }
}

TEST(study_warnings, slow_host_is_named) {
  for (const std::uint64_t items : {0U, 1000U}) {
    auto points = clean_points();
    add_hosts(points, 1.25, items);
    EXPECT_THAT(warnings_of(points),
                ElementsAre(AllOf(StartsWith("slow host node2: "), HasSubstr("24 %"), HasSubstr("10 runs"))));
    add_hosts(points, 1.05, items);
    EXPECT_THAT(warnings_of(points), IsEmpty());
  }
}

TEST(study_warnings, host_that_only_hands_out_work_is_neither_slow_nor_a_measure) {
  auto points = clean_points();
  for (StudyRun& run : points[2].runs) run.hosts = {{"master", 1, 0, 0}, {"a", 1, 100, 2.0}, {"b", 1, 100, 2.02}};
  EXPECT_THAT(warnings_of(points), IsEmpty());
  for (StudyRun& run : points[2].runs) run.hosts[2].compute_s = 3;
  EXPECT_THAT(warnings_of(points), ElementsAre(StartsWith("slow host b: ")));
}

// Under a dynamic schedule a fast host computes as long as the others, and does more.
TEST(study_warnings, host_that_does_more_work_in_the_same_time_makes_the_other_slow) {
  auto points = clean_points();
  for (StudyRun& run : points[2].runs) run.hosts = {{"fast", 1, 1500, 2.0}, {"slow", 1, 1000, 2.0}};
  EXPECT_THAT(warnings_of(points), ElementsAre(StartsWith("slow host slow: ")));
}

TEST(study_warnings, one_host_or_two_runs_tell_nothing) {
  auto points = clean_points();
  for (StudyRun& run : points[0].runs) run.hosts = {{"node1", 1, 10, 2.0}};
  for (std::size_t run = 0; run < 2; ++run) points[2].runs[run].hosts = {{"a", 1, 1, 9.0}, {"b", 1, 1, 1.0}};
  EXPECT_THAT(warnings_of(points), IsEmpty());
}

TEST(study_warnings, super_linear_points_are_named) {
  auto points = clean_points();
  scale(points[1], 0.85);
  EXPECT_THAT(warnings_of(points), ElementsAre(StartsWith("super-linear at 2 ranks: ")));
}

TEST(study_warnings, efficiency_within_its_error_of_one_is_not_super_linear) {
  auto points = clean_points();
  scale(points[1], 0.999 / 1.1);
  EXPECT_THAT(warnings_of(points), IsEmpty());
}

TEST(study_warnings, efficiency_below_the_baseline_is_not_super_linear) {
  const auto points = clean_points();
  const Study study = analyse(points, {.baseline_ranks = 4});
  ASSERT_GT(study.rows[0].scaling->efficiency.interval->lower, 1);
  EXPECT_THAT(study.warnings, IsEmpty());
}

TEST(study_warnings, times_that_do_not_vary_are_not_super_linear_by_a_last_bit) {
  auto points = clean_points();
  for (StudyPoint& point : points) {
    for (StudyRun& run : point.runs) run.time_s = 7.7 / static_cast<double>(point.ranks) * (1 - 1e-12);
  }
  for (StudyRun& run : points[0].runs) run.time_s = 7.7;
  EXPECT_THAT(warnings_of(points), IsEmpty());
}

TEST(study_warnings, points_short_of_cpu_are_named_with_the_worst) {
  auto points = clean_points();
  for (StudyPoint& point : points) {
    for (StudyRun& run : point.runs) run.cpu_share = 0.99;
  }
  points[1].runs[0].cpu_share = 0.2;  // one run only
  EXPECT_THAT(warnings_of(points), IsEmpty());
  for (StudyRun& run : points[1].runs) run.cpu_share = 0.8;
  for (StudyRun& run : points[2].runs) run.cpu_share = 0.25;
  EXPECT_THAT(warnings_of(points),
              ElementsAre(AllOf(StartsWith("short of CPU at 2 ranks, 4 ranks: "), HasSubstr(" 25 % or less "))));
  points[1].oversubscribed = points[2].oversubscribed = true;  // which says it
  EXPECT_THAT(warnings_of(points), ElementsAre(StartsWith("oversubscribed at 2 ranks, 4 ranks: ")));
}

TEST(study_warnings, short_runs_are_named) {
  auto points = clean_points();
  for (StudyPoint& point : points) scale(point, 0.02);
  EXPECT_THAT(warnings_of(points), ElementsAre(StartsWith("too short at 4 ranks: a run takes less than 0.1 s")));
}

TEST(study_warnings, few_repetitions_are_named) {
  auto points = clean_points();
  points[0].runs.resize(5);
  points[2].runs.resize(6);
  EXPECT_THAT(warnings_of(points), ElementsAre(StartsWith("few repetitions at 1 rank: fewer than 6 give no 95 % ")));
}

TEST(study_warnings, counted_start_up_is_named) {
  auto points = clean_points();
  points[1].startup_counted = points[2].startup_counted = true;
  EXPECT_THAT(warnings_of(points), ElementsAre(StartsWith("start-up counted at 2 ranks, 4 ranks: ")));
}

TEST(study_warnings, point_without_runs_is_named_once) {
  auto points = clean_points();
  points[1].runs.clear();
  points[1].failures = 2;
  EXPECT_THAT(warnings_of(points), ElementsAre("no run succeeded at 2 ranks: nothing is said of it"));
  for (StudyPoint& point : points) point.runs.clear();
  EXPECT_THAT(warnings_of(points),
              ElementsAre(StartsWith("no run succeeded at 2 ranks, and no measured run yet at 1 rank, 4 ranks: ")));
}

}  // namespace
}  // namespace echelon::analysis
