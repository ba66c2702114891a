#include <chrono>
#include <cstdint>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include <echelon/report/progress.hpp>

namespace echelon::report {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(progress_text, nothing_done_has_no_time_left) {
  EXPECT_EQ(progress_text(0, seconds{5}), "0 % done");
  EXPECT_EQ(progress_text(-1, seconds{5}), "0 % done");
}

TEST(progress_text, time_left_is_from_the_part_that_is_done) {
  EXPECT_EQ(progress_text(0.5, seconds{3}), "50 % done, 3 s left");
  EXPECT_EQ(progress_text(0.25, seconds{3}), "25 % done, 9 s left");
  EXPECT_EQ(progress_text(0.5, milliseconds{1400}), "50 % done, 1 s left");
  EXPECT_EQ(progress_text(0.5, milliseconds{1600}), "50 % done, 2 s left");
}

TEST(progress_text, everything_done_leaves_nothing) {
  EXPECT_EQ(progress_text(1, seconds{100}), "100 % done, 0 s left");
  EXPECT_EQ(progress_text(1.5, seconds{100}), "100 % done, 0 s left");
}

TEST(progress_text, long_times_have_minutes_and_hours) {
  EXPECT_EQ(progress_text(0.5, seconds{59}), "50 % done, 59 s left");
  EXPECT_EQ(progress_text(0.5, milliseconds{59'600}), "50 % done, 1 min 00 s left");
  EXPECT_EQ(progress_text(0.5, seconds{65}), "50 % done, 1 min 05 s left");
  EXPECT_EQ(progress_text(0.5, seconds{3599}), "50 % done, 59 min 59 s left");
  EXPECT_EQ(progress_text(0.5, seconds{3600}), "50 % done, 1 h 00 min left");
  EXPECT_EQ(progress_text(0.5, hours{25} + std::chrono::minutes{9}), "50 % done, 25 h 09 min left");
}

TEST(progress_text, hardly_begun_is_bounded) {
  EXPECT_EQ(progress_text(1e-300, seconds{1}), "0 % done, 277777 h 46 min left");
}

std::string text_of(const TaskProgress& tasks, std::chrono::duration<double> elapsed = seconds{10}) {
  return progress_text(tasks, elapsed);
}

TEST(progress_text, tasks_of_a_known_number_have_a_time_left) {
  EXPECT_EQ(text_of({.ended = 100, .total = 400, .ended_now = 100}), "100 of 400 done, 30 s left");
  EXPECT_EQ(text_of({.ended = 120, .failed = 3, .total = 5000, .ended_now = 120}),
            "120 of 5000 done, 3 failed, 6 min 47 s left");
  EXPECT_EQ(text_of({.ended = 1, .total = 2, .ended_now = 1}, hours{2}), "1 of 2 done, 2 h 00 min left");
}

TEST(progress_text, the_pace_of_tasks_is_that_of_this_run) {
  EXPECT_EQ(text_of({.ended = 1100, .total = 1400, .ended_now = 100}), "1100 of 1400 done, 30 s left");
  EXPECT_EQ(text_of({.ended = 1000, .failed = 7, .total = 1400}), "1000 of 1400 done, 7 failed");
}

TEST(progress_text, tasks_of_an_unknown_number_are_counted) {
  EXPECT_EQ(text_of({}), "0 done");
  EXPECT_EQ(text_of({.ended = 12, .total = {}, .ended_now = 12}), "12 done");
  EXPECT_EQ(text_of({.ended = 12, .failed = 12, .total = {}, .ended_now = 12}), "12 done, 12 failed");
}

TEST(progress_text, tasks_at_their_ends) {
  EXPECT_EQ(text_of({.total = 0}), "0 of 0 done");
  EXPECT_EQ(text_of({.total = 1}), "0 of 1 done");
  EXPECT_EQ(text_of({.ended = 1, .total = 1, .ended_now = 1}), "1 of 1 done, 0 s left");
  EXPECT_EQ(text_of({.ended = 5, .failed = 1, .total = 5, .ended_now = 5}), "5 of 5 done, 1 failed, 0 s left");
  // A list that has grown since it was counted.
  EXPECT_EQ(text_of({.ended = 6, .total = 5, .ended_now = 6}), "6 of 5 done, 0 s left");
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(text_of({.ended = 1, .total = most, .ended_now = 1}),
            "1 of 18446744073709551615 done, 277777 h 46 min left");
}

}  // namespace
}  // namespace echelon::report
