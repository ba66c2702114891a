#include <chrono>

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

}  // namespace
}  // namespace echelon::report
