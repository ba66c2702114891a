#include <cmath>
#include <stdexcept>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/analysis/study.hpp>
#include <echelon/base/error.hpp>

namespace echelon::analysis {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::ThrowsMessage;

constexpr double scatter[] = {0.99, 1.01, 1.0, 0.995, 1.005, 1.0};

StudyPoint point(std::uint64_t ranks, double median_s, std::uint64_t threads = 1) {
  StudyPoint made{.ranks = ranks, .threads = threads, .nodes = (ranks + 3) / 4};
  for (const double factor : scatter) {
    const std::uint64_t sequence = made.runs.size();
    made.runs.push_back({.sequence = sequence, .time_s = median_s * factor});
  }
  return made;
}

/// 100 s of work, a tenth of it serial; not in order of size.
std::vector<StudyPoint> amdahl_points() {
  std::vector<StudyPoint> points;
  for (const std::uint64_t ranks : {4, 1, 16, 2, 8, 32}) {
    points.push_back(point(ranks, 10 + 90 / static_cast<double>(ranks)));
  }
  return points;
}

TEST(analyse, rows_are_sorted_and_name_their_point) {
  const Study study = analyse(amdahl_points());
  ASSERT_THAT(study.rows, SizeIs(6));
  EXPECT_EQ(study.baseline, 0U);
  const std::uint64_t ranks[] = {1, 2, 4, 8, 16, 32};
  const std::size_t points[] = {1, 3, 0, 4, 2, 5};
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(study.rows[i].ranks, ranks[i]);
    EXPECT_EQ(study.rows[i].point, points[i]);
  }
}

// T = 32.5 s of 100: S = 3.0769, E = 0.76923, e = 0.1; eight nodes of 12.8125 s are 0.02847 node-hours.
TEST(analyse, row_agrees_with_hand_computation) {
  const Study study = analyse(amdahl_points());
  const StudyRow& row = study.rows[2];
  EXPECT_EQ(row.repetitions, 6U);
  EXPECT_DOUBLE_EQ(row.time_s->value, 32.5);
  EXPECT_DOUBLE_EQ(row.time_s->interval->lower, 32.5 * 0.99);
  EXPECT_DOUBLE_EQ(row.time_s->interval->upper, 32.5 * 1.01);
  EXPECT_NEAR(row.spread->coefficient_of_variation, std::sqrt(2.5e-4 / 5), 1e-12);
  EXPECT_NEAR(row.scaling->speedup.value, 100 / 32.5, 1e-12);
  EXPECT_NEAR(row.scaling->efficiency.value, 25 / 32.5, 1e-12);
  EXPECT_NEAR(row.scaling->serial_fraction->value, 0.1, 1e-12);
  EXPECT_TRUE(row.scaling->serial_fraction->interval->contains(0.1));
  EXPECT_FALSE(row.pop.has_value());
  EXPECT_FALSE(row.cpu_percent.has_value());
  EXPECT_NEAR(*study.rows[5].node_hours, 8 * 12.8125 / 3600, 1e-12);
  EXPECT_NEAR(*study.rows[5].processor_hours, 32 * 12.8125 / 3600, 1e-12);
}

TEST(analyse, models_are_fitted_to_the_medians) {
  const Study study = analyse(amdahl_points());
  ASSERT_THAT(study.models, SizeIs(3));
  ASSERT_THAT(study.hold_outs, SizeIs(3));
  EXPECT_EQ(study.preferred, 0U);
  EXPECT_NEAR(study.models[0].serial_fraction(), 0.1, 1e-9);
  EXPECT_NEAR(study.hold_outs[0]->relative_error, 0, 1e-9);
}

TEST(analyse, models_leave_out_points_whose_threads_take_turns) {
  std::vector<StudyPoint> points = amdahl_points();
  points.push_back(point(64, 50));
  points.back().cpus_allowed = 32;
  points.push_back(point(48, 60));
  points.back().oversubscribed = true;
  const Study study = analyse(points);
  EXPECT_NEAR(study.models.at(0).serial_fraction(), 0.1, 1e-9);
  EXPECT_EQ(study.extrapolation_limit, 64);
  EXPECT_TRUE(study.rows.back().scaling.has_value()) << "what was measured is shown";
  for (StudyPoint& each : points) each.oversubscribed = true;
  EXPECT_THAT(analyse(points).models, IsEmpty());
}

TEST(analyse, forecasts_end_at_twice_the_largest_point_unless_asked) {
  const auto processors = [](const Study& study, bool measured) {
    std::vector<double> found;
    for (const Forecast& forecast : study.forecasts) {
      if (forecast.measured == measured) found.push_back(forecast.processors);
    }
    return found;
  };
  const Study capped = analyse(amdahl_points());
  EXPECT_EQ(capped.extrapolation_limit, 64);
  EXPECT_EQ(processors(capped, true), (std::vector<double>{1, 2, 4, 8, 16, 32}));
  EXPECT_EQ(processors(capped, false), (std::vector<double>{64}));
  EXPECT_THAT(capped.forecasts.back().predictions, SizeIs(3));
  EXPECT_NEAR(capped.forecasts.back().predictions[0].time_s, 10 + 90.0 / 64, 1e-9);
  EXPECT_TRUE(capped.forecasts.back().envelope.has_value());
  StudyOptions options;
  options.extrapolate_to = 300;
  EXPECT_EQ(processors(analyse(amdahl_points(), options), false), (std::vector<double>{64, 128, 256, 300}));
  options.extrapolate_to = 32;
  EXPECT_THAT(processors(analyse(amdahl_points(), options), false), IsEmpty());
}

TEST(analyse, baseline_can_be_chosen) {
  StudyOptions options;
  options.baseline_ranks = 4;
  const Study study = analyse(amdahl_points(), options);
  EXPECT_EQ(study.baseline, 2U);
  EXPECT_EQ(study.rows[2].scaling->speedup.value, 1);
  EXPECT_NEAR(study.rows[3].scaling->speedup.value, 32.5 / 21.25, 1e-12);
  EXPECT_NEAR(study.rows[0].scaling->speedup.value, 0.325, 1e-12);
  options.baseline_ranks = 3;
  EXPECT_THAT([&] { static_cast<void>(analyse(amdahl_points(), options)); },
              ThrowsMessage<base::UsageError>(HasSubstr("--baseline 3")));
}

TEST(analyse, threads_count_as_processors) {
  const Study study = analyse(std::vector{point(2, 25, 2), point(1, 100), point(4, 26)});
  EXPECT_EQ(study.rows[1].ranks, 2U);
  EXPECT_EQ(study.rows[1].processors, 4U);
  EXPECT_DOUBLE_EQ(study.rows[1].scaling->efficiency.value, 1);
  EXPECT_EQ(study.rows[2].ranks, 4U);
  EXPECT_THAT(study.forecasts, SizeIs(3));  // at 1, 4 and 8
}

TEST(analyse, rows_are_by_processors_before_ranks) {
  const Study study = analyse(std::vector{point(1, 30, 8), point(4, 29, 2), point(2, 50)});
  EXPECT_EQ(study.rows[0].processors, 2U);
  EXPECT_EQ(study.rows[1].ranks, 1U);
  EXPECT_EQ(study.rows[2].ranks, 4U);
}

TEST(analyse, weak_scaling_has_scaled_speedup_and_gustafson) {
  StudyOptions options;
  options.scaling = Scaling::weak;
  std::vector<StudyPoint> points;
  for (const std::uint64_t ranks : {1, 2, 4, 8}) {
    const auto p = static_cast<double>(ranks);
    points.push_back(point(ranks, 10 * p / (p - 0.2 * (p - 1))));
  }
  const Study study = analyse(points, options);
  EXPECT_NEAR(study.rows[3].scaling->speedup.value, 8 - 0.2 * 7, 1e-12);
  EXPECT_NEAR(study.rows[3].scaling->serial_fraction->value, 0.2, 1e-12);
  ASSERT_THAT(study.models, SizeIs(1));
  EXPECT_NEAR(study.models[0].serial_fraction(), 0.2, 1e-9);
}

TEST(analyse, pop_factors_are_there_where_every_run_has_them) {
  auto points = std::vector{point(1, 100), point(4, 40), point(8, 25)};
  for (StudyRun& run : points[0].runs) run.pop = {98, 98, 100, 1};
  for (StudyRun& run : points[1].runs) run.pop = {112, 35, 40, 4};
  points[2].runs[0].pop = {100, 25, 25, 8};
  const Study study = analyse(points);
  EXPECT_EQ(study.rows[0].pop->computation_scalability.value, 1);
  EXPECT_FALSE(study.rows[0].pop->computation_scalability.interval.has_value());
  EXPECT_DOUBLE_EQ(study.rows[1].pop->load_balance.value, 0.8);
  EXPECT_DOUBLE_EQ(study.rows[1].pop->communication.value, 0.875);
  EXPECT_DOUBLE_EQ(study.rows[1].pop->computation_scalability.value, 0.875);
  EXPECT_DOUBLE_EQ(study.rows[1].pop->global, 0.7 * 0.875);
  EXPECT_DOUBLE_EQ(study.rows[1].pop->global / study.rows[0].pop->global, study.rows[1].scaling->efficiency.value);
  EXPECT_FALSE(study.rows[2].pop.has_value());
  points[1].runs[0].pop->processors = 3;
  EXPECT_FALSE(analyse(points).rows[1].pop.has_value()) << "not of one point";
}

TEST(analyse, elapsed_time_gives_cpu_percent_and_hours) {
  auto points = std::vector{point(4, 10)};
  for (StudyRun& run : points[0].runs) {
    run.elapsed_s = 12;
    run.cpu_s = 36;
    run.startup_s = 1.5;
  }
  const StudyRow row = analyse(points).rows[0];
  EXPECT_EQ(row.elapsed_s, 12);
  EXPECT_EQ(row.cpu_percent, 300);
  EXPECT_EQ(row.startup_s, 1.5);
  EXPECT_DOUBLE_EQ(*row.node_hours, 12.0 / 3600);
}

TEST(analyse, point_without_runs_keeps_its_row) {
  auto points = amdahl_points();
  points[1].runs.clear();  // 1 rank
  points[1].failures = 3;
  const Study study = analyse(points);
  EXPECT_EQ(study.baseline, 1U);
  EXPECT_EQ(study.rows[0].failures, 3U);
  EXPECT_FALSE(study.rows[0].time_s.has_value());
  EXPECT_FALSE(study.rows[0].scaling.has_value());
  EXPECT_EQ(study.rows[1].scaling->speedup.value, 1);
}

TEST(analyse, nothing_at_all_is_an_empty_study) {
  EXPECT_THAT(analyse({}).rows, IsEmpty());
  EXPECT_FALSE(analyse({}).baseline.has_value());
  EXPECT_FALSE(analyse(std::vector<StudyPoint>(2)).baseline.has_value());
}

TEST(analyse, one_run_of_one_point_has_a_time_only) {
  StudyPoint alone;
  alone.runs.push_back({.time_s = 3});
  const Study study = analyse(std::vector{alone});
  EXPECT_EQ(study.rows[0].time_s->value, 3);
  EXPECT_FALSE(study.rows[0].time_s->interval.has_value());
  EXPECT_EQ(study.rows[0].scaling->speedup.value, 1);
  EXPECT_THAT(study.models, IsEmpty());
  EXPECT_THAT(study.forecasts, IsEmpty());
}

TEST(analyse, is_the_same_every_time) {
  const auto lower = [] { return analyse(amdahl_points()).rows[3].scaling->speedup.interval->lower; };
  EXPECT_EQ(lower(), lower());
}

TEST(analyse, nonsense_is_refused) {
  for (const double bad : {0.0, -1.0, std::nan("")}) {
    auto points = amdahl_points();
    points[2].runs[3].time_s = bad;
    EXPECT_THROW(static_cast<void>(analyse(points)), std::invalid_argument) << bad;
    StudyOptions options;
    options.extrapolate_to = bad;
    EXPECT_THROW(static_cast<void>(analyse(amdahl_points(), options)), std::invalid_argument) << bad;
  }
  EXPECT_THROW(static_cast<void>(analyse(std::vector{StudyPoint{.ranks = 0}})), std::invalid_argument);
}

}  // namespace
}  // namespace echelon::analysis
