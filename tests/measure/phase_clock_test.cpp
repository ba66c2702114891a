#include <chrono>
#include <random>

#include <gtest/gtest.h>

#include <echelon/measure/phase_clock.hpp>

namespace echelon::measure {
namespace {

using std::chrono::nanoseconds;

constexpr Clock::time_point start{std::chrono::hours{5}};

Clock::time_point after(int nanos) { return start + nanoseconds{nanos}; }

TEST(phase_clock, begins_with_startup_and_nothing_spent) {
  PhaseClock clock{start};
  for (const Phase phase : {Phase::startup, Phase::compute, Phase::communicate, Phase::wait}) {
    EXPECT_EQ(clock.spent(phase), Seconds::zero());
  }
  EXPECT_EQ(clock.wall(), Seconds::zero());
  clock.enter(Phase::compute, after(7));
  EXPECT_EQ(clock.spent(Phase::startup), nanoseconds{7});
}

TEST(phase_clock, time_goes_to_the_phase_that_ends) {
  PhaseClock clock{start};
  clock.enter(Phase::compute, after(100));
  clock.enter(Phase::wait, after(350));
  clock.enter(Phase::communicate, after(400));
  clock.enter(Phase::compute, after(410));
  clock.enter(Phase::compute, after(1410));
  clock.enter(Phase::wait, after(1411));
  EXPECT_EQ(clock.spent(Phase::startup), nanoseconds{100});
  EXPECT_EQ(clock.spent(Phase::compute), nanoseconds{1251});
  EXPECT_EQ(clock.spent(Phase::communicate), nanoseconds{10});
  EXPECT_EQ(clock.spent(Phase::wait), nanoseconds{50});
  EXPECT_EQ(clock.wall(), nanoseconds{1411});
}

// In whole nanoseconds, which a double in seconds holds: so they add up without a rounding.
TEST(phase_clock, phases_add_up_to_wall_exactly) {
  for (unsigned seed = 1; seed <= 50; ++seed) {
    std::mt19937 random{seed};
    PhaseClock clock{start};
    Clock::time_point now = start;
    for (int i = 0; i < 1000; ++i) {
      now += nanoseconds{random() % 1'000'000};
      clock.enter(static_cast<Phase>(random() % phase_count), now);
    }
    nanoseconds sum{0};
    for (std::size_t phase = 0; phase < phase_count; ++phase) {
      sum += std::chrono::round<nanoseconds>(clock.spent(static_cast<Phase>(phase)));
    }
    ASSERT_EQ(sum, now - start) << "seed " << seed;
    ASSERT_EQ(std::chrono::round<nanoseconds>(clock.wall()), now - start) << "seed " << seed;
  }
}

TEST(phase_clock, real_time_does_not_run_backwards) {
  PhaseClock clock;
  clock.enter(Phase::compute);
  clock.enter(Phase::wait);
  EXPECT_GE(clock.spent(Phase::startup), Seconds::zero());
  EXPECT_GE(clock.spent(Phase::compute), Seconds::zero());
  EXPECT_GE(clock.wall(), clock.spent(Phase::compute));
}

}  // namespace
}  // namespace echelon::measure
