// Which run is next, decided from the plan and the runs that have ended.
#include <functional>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/study/schedule.hpp>

namespace echelon::study {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::Field;

Plan plan_of(std::vector<std::uint64_t> ranks, std::uint64_t repeat, std::uint64_t warmup = 0) {
  Plan plan;
  plan.ranks = std::move(ranks);
  plan.repeat = repeat;
  plan.warmup = warmup;
  plan.command = {"pi"};
  return plan;
}

const Result good{.succeeded = true, .time_s = 1, .elapsed_s = 2};
const Result bad{.succeeded = false, .elapsed_s = 2};

/// Runs all, each ending as `result` says.
std::vector<Task> run_all(Schedule& schedule, const std::function<Result(const Task&)>& result) {
  std::vector<Task> tasks;
  while (const auto task = schedule.next()) {
    tasks.push_back(*task);
    schedule.finish(result(*task));
    if (tasks.size() > 100'000) throw std::runtime_error("no end");
  }
  return tasks;
}
std::vector<Task> run_all(const Plan& plan, const Result& result = good) {
  Schedule schedule{plan};
  return run_all(schedule, [&](const Task&) { return result; });
}

TEST(schedule, each_block_has_each_point_once_warmups_first) {
  const std::vector<Task> tasks = run_all(plan_of({1, 2, 4, 8}, 5, 2));
  ASSERT_EQ(tasks.size(), 4U * (5 + 2));
  for (std::size_t block = 0; block < 7; ++block) {
    std::set<std::size_t> points;
    for (std::size_t at = 4 * block; at < 4 * block + 4; ++at) {
      EXPECT_EQ(tasks[at].warmup, block < 2);
      EXPECT_EQ(tasks[at].block, block < 2 ? block + 1 : block - 1);
      points.insert(tasks[at].point);
    }
    EXPECT_EQ(points.size(), 4U) << "block " << block;
  }
  EXPECT_THAT(tasks, Each(Field(&Task::attempt, 1U)));
}

TEST(schedule, order_differs_between_blocks_and_follows_the_seed) {
  Plan plan = plan_of({1, 2, 3, 4, 5, 6, 7, 8}, 20);
  const std::vector<Task> tasks = run_all(plan);
  std::set<std::vector<std::size_t>> orders;
  std::vector<std::size_t> first_of_point(8);
  for (std::size_t block = 0; block < 20; ++block) {
    std::vector<std::size_t> order;
    for (std::size_t at = 8 * block; at < 8 * block + 8; ++at) order.push_back(tasks[at].point);
    ++first_of_point[order.front()];
    orders.insert(order);
  }
  EXPECT_GT(orders.size(), 18U) << "of 40320 orders";
  for (const std::size_t times : first_of_point) EXPECT_LT(times, 10U) << "no point is always first";
  EXPECT_EQ(run_all(plan), tasks);
  plan.seed = 2;
  EXPECT_NE(run_all(plan), tasks);
}

TEST(schedule, failed_run_is_repeated_once_and_the_study_goes_on) {
  Schedule schedule{plan_of({1, 2}, 3)};
  bool failed = false;
  const std::vector<Task> tasks = run_all(schedule, [&](const Task& task) {
    const bool fails = task.point == 1 && task.block == 2 && task.attempt == 1;
    failed = failed || fails;
    return fails ? bad : good;
  });
  EXPECT_TRUE(failed);
  ASSERT_EQ(tasks.size(), 7U);
  for (std::size_t at = 1; at < tasks.size(); ++at) {
    if (tasks[at].attempt == 1) continue;
    EXPECT_EQ(tasks[at], (Task{tasks[at - 1].point, tasks[at - 1].block, false, 2}));
  }
  EXPECT_EQ(schedule.states()[1].failures, 1U);
  EXPECT_EQ(schedule.states()[1].times_s.size(), 3U);
  EXPECT_FALSE(schedule.states()[1].given_up);
}

TEST(schedule, point_that_fails_twice_in_a_row_is_given_up_and_the_others_are_not) {
  for (const std::uint64_t warmup : {0U, 1U}) {
    Schedule schedule{plan_of({1, 2, 4}, 3, warmup)};
    const std::vector<Task> tasks = run_all(schedule, [&](const Task& task) { return task.point == 1 ? bad : good; });
    EXPECT_EQ(tasks.size(), 2 + 2 * (3 + warmup));
    EXPECT_TRUE(schedule.states()[1].given_up);
    EXPECT_EQ(schedule.states()[1].failures, 2U);
    EXPECT_EQ(schedule.states()[0].times_s.size(), 3U);
    EXPECT_EQ(schedule.states()[2].times_s.size(), 3U);
  }
}

TEST(schedule, where_everything_fails_it_ends) { EXPECT_EQ(run_all(plan_of({1, 2}, 50, 3), bad).size(), 4U); }

TEST(schedule, with_a_precision_points_are_repeated_until_they_are_precise) {
  Plan plan = plan_of({1, 2}, 1);
  plan.precision = 0.02;
  plan.max_repeat = 30;
  Schedule schedule{plan};
  std::map<std::size_t, int> runs;
  const std::vector<Task> tasks = run_all(schedule, [&](const Task& task) {
    const int run = ++runs[task.point];
    // Point 0 is quiet, point 1 jumps by a factor of two for ever.
    return Result{true, task.point == 0 ? 1 + 1e-4 * run : 1 + run % 2, 1};
  });
  EXPECT_EQ(runs[0], 6) << "the fewest that have an interval";
  EXPECT_EQ(runs[1], 30) << "the most";
  for (std::size_t at = 12; at < tasks.size(); ++at) EXPECT_EQ(tasks[at].point, 1U);
}

TEST(schedule, budget_begins_no_block_that_is_not_expected_to_fit) {
  Plan plan = plan_of({1, 2}, 100);
  plan.budget_s = 13;  // blocks of 4 s
  Schedule schedule{plan};
  const std::vector<Task> tasks = run_all(schedule, [](const Task&) { return good; });
  EXPECT_EQ(tasks.size(), 6U);
  EXPECT_TRUE(schedule.budget_is_spent());
  EXPECT_EQ(schedule.spent_s(), 12);
}

TEST(schedule, budget_that_is_spent_ends_a_block_too) {
  Plan plan = plan_of({1, 2, 3, 4}, 100, 1);
  plan.budget_s = 3;
  Schedule schedule{plan};
  EXPECT_EQ(run_all(schedule, [](const Task&) { return good; }).size(), 2U);
  EXPECT_TRUE(schedule.budget_is_spent());
}

TEST(schedule, budget_that_suffices_changes_nothing) {
  Plan plan = plan_of({1, 2, 3}, 4, 1);
  const std::vector<Task> without = run_all(plan);
  plan.budget_s = 2 * 15;
  Schedule schedule{plan};
  EXPECT_EQ(run_all(schedule, [](const Task&) { return good; }), without);
  EXPECT_FALSE(schedule.budget_is_spent());
}

// The whole of --resume: what is next follows from what has ended, whenever the study was cut short.
TEST(schedule, resumed_after_any_run_goes_on_as_if_it_had_not_been_cut_short) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Plan plan = plan_of({1, 2, 3, 5}, 4, seed % 3);
    plan.seed = seed;
    if (seed % 2 == 0) {
      plan.precision = 0.05;
      plan.max_repeat = 15;
    }
    if (seed % 5 == 0) plan.budget_s = 40;
    std::mt19937_64 random{seed};
    std::vector<Result> results;
    Schedule whole{plan};
    const std::vector<Task> tasks = run_all(whole, [&](const Task&) {
      const double time_s = 1 + 0.1 * static_cast<double>(random() % 10);
      results.push_back({random() % 8 != 0, time_s, time_s});
      return results.back();
    });
    for (std::size_t cut = 0; cut <= tasks.size(); ++cut) {
      Schedule resumed{plan};
      for (std::size_t at = 0; at < cut; ++at) resumed.finish(results[at]);
      EXPECT_EQ(resumed.next(), cut < tasks.size() ? std::optional{tasks[cut]} : std::nullopt);
    }
  }
}

TEST(schedule, runs_left_add_up_to_those_that_come) {
  Schedule schedule{plan_of({1, 2, 4}, 5, 2)};
  for (std::uint64_t left = 3 * 7; schedule.next(); --left) {
    EXPECT_EQ(schedule.runs_left(0) + schedule.runs_left(1) + schedule.runs_left(2), left);
    schedule.finish(good);
  }
  EXPECT_EQ(schedule.runs_left(0), 0U);
}

TEST(cost, is_known_once_every_point_has_run) {
  Schedule schedule{plan_of({1, 2}, 3)};
  EXPECT_FALSE(cost_left(schedule));
  schedule.finish(good);
  EXPECT_FALSE(cost_left(schedule));
  schedule.finish(good);
  const auto cost = cost_left(schedule);
  ASSERT_TRUE(cost);
  EXPECT_EQ(cost->runs, 4U);
  EXPECT_DOUBLE_EQ(cost->wall_s, 8);
  EXPECT_DOUBLE_EQ(cost->core_hours, 2 * (2 * 1 + 2 * 2) / 3600.0);
  EXPECT_FALSE(cost->at_most);
}

TEST(cost, of_a_guess_scales_ideally) {
  Plan plan = plan_of({1, 4}, 10);
  const auto strong = cost_left(Schedule{plan}, 8);
  ASSERT_TRUE(strong);
  EXPECT_DOUBLE_EQ(strong->wall_s, 10 * 8 + 10 * 2);
  EXPECT_DOUBLE_EQ(strong->core_hours, 2 * 10 * 8 / 3600.0);
  plan.weak = "p";
  EXPECT_DOUBLE_EQ(cost_left(Schedule{plan}, 8)->wall_s, 2 * 10 * 8);
}

TEST(cost, is_no_more_than_the_budget) {
  Plan plan = plan_of({1}, 10);
  plan.budget_s = 20;
  const auto cost = cost_left(Schedule{plan}, 8);
  ASSERT_TRUE(cost);
  EXPECT_DOUBLE_EQ(cost->wall_s, 20);
  EXPECT_DOUBLE_EQ(cost->core_hours, 20 / 3600.0);
  EXPECT_TRUE(cost->at_most);
}

}  // namespace
}  // namespace echelon::study
