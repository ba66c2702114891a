#include <chrono>

#include <gtest/gtest.h>

#include <echelon/comm/backoff.hpp>

namespace echelon::comm {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Backoff::Clock::duration none{0};

TEST(backoff, short_wait_does_not_sleep) {
  EXPECT_EQ(Backoff::sleep_after(none), none);
  EXPECT_EQ(Backoff::sleep_after(Backoff::spin), none);
  EXPECT_EQ(Backoff::sleep_after(Backoff::yield - std::chrono::nanoseconds{1}), none);
}

TEST(backoff, longer_wait_sleeps_a_sixteenth_of_it) {
  EXPECT_EQ(Backoff::sleep_after(microseconds{1600}), microseconds{100});
  EXPECT_EQ(Backoff::sleep_after(milliseconds{8}), microseconds{500});
}

TEST(backoff, sleep_is_at_most_two_milliseconds) {
  EXPECT_EQ(Backoff::sleep_after(milliseconds{32}), milliseconds{2});
  EXPECT_EQ(Backoff::sleep_after(seconds{1}), milliseconds{2});
  EXPECT_EQ(Backoff::sleep_after(std::chrono::hours{1000}), milliseconds{2});
}

TEST(backoff, sleep_never_shrinks_and_lengthens_a_wait_by_little) {
  Backoff::Clock::duration last = none;
  for (microseconds waited{0}; waited < milliseconds{40}; ++waited) {
    const Backoff::Clock::duration sleep = Backoff::sleep_after(waited);
    ASSERT_GE(sleep, last);
    ASSERT_LE(sleep, waited / 16 + microseconds{1});
    last = sleep;
  }
}

}  // namespace
}  // namespace echelon::comm
