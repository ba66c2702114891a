#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/base/error.hpp>
#include <echelon/farm/halt.hpp>

namespace echelon::farm {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using When = Halt::When;
using Why = Halt::Why;

std::string refusal(std::string_view text) {
  try {
    (void)parse_halt(text);
  } catch (const base::UsageError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(halt, is_read_as_gnu_parallel_reads_it) {
  EXPECT_EQ(parse_halt("never"), Halt{});
  EXPECT_EQ(parse_halt("now,fail=1"), (Halt{When::now, Why::fail, 1, false}));
  EXPECT_EQ(parse_halt("soon,success=30"), (Halt{When::soon, Why::success, 30, false}));
  EXPECT_EQ(parse_halt("now,done=10%"), (Halt{When::now, Why::done, 10, true}));
  EXPECT_EQ(parse_halt("soon,fail=100%"), (Halt{When::soon, Why::fail, 100, true}));
}

TEST(halt, is_read_in_its_older_forms) {
  EXPECT_EQ(parse_halt("0").when, When::never);
  EXPECT_EQ(parse_halt("1"), (Halt{When::soon, Why::fail, 1, false}));
  EXPECT_EQ(parse_halt("2"), (Halt{When::now, Why::fail, 1, false}));
  EXPECT_EQ(parse_halt("-1"), (Halt{When::soon, Why::success, 1, false}));
  EXPECT_EQ(parse_halt("-2"), (Halt{When::now, Why::success, 1, false}));
  EXPECT_EQ(parse_halt("15%"), (Halt{When::soon, Why::fail, 15, true}));
}

TEST(halt, is_refused_where_it_makes_no_sense) {
  for (const std::string_view text : {"",
                                      "3",
                                      "bogus",
                                      "Now,fail=1",
                                      "now",
                                      "now,",
                                      "now,fail",
                                      "now,fail=",
                                      "now,fails=1",
                                      "now, fail=1",
                                      "now,fail=1x",
                                      "now,fail=-1",
                                      "now,fail=1.5%",
                                      "now,fail=0",
                                      "now,fail=0%",
                                      "now,fail=101%",
                                      "now,fail=%",
                                      "%",
                                      "0%",
                                      "now,fail=1,done=2",
                                      "never,fail=1",
                                      "now,fail=99999999999999999999"}) {
    EXPECT_THAT(refusal(text),
                AllOf(HasSubstr("--halt " + std::string{text}), HasSubstr("now,fail=1"), Not(HasSubstr("\n"))));
  }
  EXPECT_THAT(refusal("now,exit=1"), HasSubstr("fail, success or done"));
}

TEST(halt, comes_at_the_number) {
  const Halt fails = parse_halt("now,fail=2");
  EXPECT_EQ(decide(fails, 9, 1, 8, 10), std::nullopt);
  EXPECT_EQ(decide(fails, 9, 2, 7, 10), When::now);
  EXPECT_EQ(decide(fails, 9, 3, 6, std::nullopt), When::now);
  const Halt successes = parse_halt("soon,success=1");
  EXPECT_EQ(decide(successes, 9, 9, 0, 10), std::nullopt);
  EXPECT_EQ(decide(successes, 9, 8, 1, 10), When::soon);
  const Halt all = parse_halt("soon,done=5");
  EXPECT_EQ(decide(all, 4, 2, 2, 10), std::nullopt);
  EXPECT_EQ(decide(all, 5, 5, 0, 10), When::soon);
  EXPECT_EQ(decide(Halt{}, 10, 10, 0, 10), std::nullopt);
}

/// Where GNU parallel stops, for lists in which each task counts.
TEST(halt, comes_at_a_percentage_of_all_tasks) {
  const auto stop = [](std::string_view text, std::uint64_t total) {
    std::uint64_t count = 0;
    while (!decide(parse_halt(text), count, count, 0, total)) ++count;
    return count;
  };
  EXPECT_EQ(stop("now,fail=50%", 6), 3U);
  EXPECT_EQ(stop("now,fail=1%", 200), 2U);
  EXPECT_EQ(stop("now,fail=1%", 3), 1U);
  EXPECT_EQ(stop("now,done=30%", 20), 6U);
  EXPECT_EQ(stop("now,done=31%", 20), 7U);
  EXPECT_EQ(stop("1%", 1000), 10U);
  EXPECT_EQ(stop("100%", 3), 3U);
  const std::uint64_t half = UINT64_MAX / 2;
  EXPECT_EQ(decide(parse_halt("50%"), half, half, 0, UINT64_MAX - 1), When::soon);
  EXPECT_EQ(decide(parse_halt("50%"), half - 1, half - 1, 0, UINT64_MAX - 1), std::nullopt);
}

TEST(halt, waits_for_the_total_where_it_is_a_percentage) {
  const Halt halt = parse_halt("now,fail=50%");
  EXPECT_EQ(decide(halt, 9, 9, 0, std::nullopt), std::nullopt);
  EXPECT_EQ(decide(halt, 9, 9, 0, 18), When::now);
  EXPECT_EQ(decide(halt, 0, 0, 0, 0), std::nullopt);
}

TEST(run_times, give_no_limit_before_the_third) {
  RunTimes times;
  times.add(1);
  times.add(1);
  EXPECT_EQ(times.limit(200), std::nullopt);
  times.add(1);
  EXPECT_NEAR(times.limit(200).value(), 2, 0.02);
}

TEST(run_times, have_the_median_right_to_one_percent) {
  std::mt19937_64 random{1};
  std::lognormal_distribution<double> any{0, 4};
  for (int round = 0; round < 50; ++round) {
    RunTimes times;
    std::vector<double> all(3 + 2 * (random() % 500));
    for (double& one : all) {
      one = any(random);
      times.add(one);
    }
    std::ranges::nth_element(all, all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2));
    const double median = all[all.size() / 2];
    EXPECT_NEAR(times.limit(100).value(), median, 0.01 * median);
    EXPECT_NEAR(times.limit(350).value(), 3.5 * median, 0.035 * median);
  }
}

TEST(run_times, take_any_number_however_long) {
  RunTimes times;
  for (const double one : {0.0, 1e-9, -1.0, 1e12, 1e300}) times.add(one);
  EXPECT_GT(times.limit(100).value(), 0);
  for (int i = 0; i < 1'000'000; ++i) times.add(1e-3 * (1 + i % 1000));
  EXPECT_NEAR(times.limit(100).value(), 0.5, 0.01);
  RunTimes long_times;
  for (int i = 0; i < 3; ++i) long_times.add(30 * 365.25 * 86400);
  EXPECT_NEAR(long_times.limit(100).value() / (30 * 365.25 * 86400), 1, 0.01);
}

}  // namespace
}  // namespace echelon::farm
