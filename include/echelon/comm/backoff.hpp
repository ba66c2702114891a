#pragma once

#include <chrono>
#include <cstdint>

namespace echelon::comm {

/// What to do between two looks at something that has not happened yet: spin, then yield, then sleep. A sleep lasts a
/// sixteenth of the wait so far and at most 1 ms, so a wait is at most 6 % longer than it has to be, or 1 ms, and a
/// long one takes a few per cent of a core.
class Backoff {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr std::chrono::microseconds spin{50};
  static constexpr std::chrono::microseconds yield{1000};
  static constexpr std::chrono::microseconds longest_sleep{1000};

  /// How long to sleep after having waited for `waited`; zero: do not sleep yet.
  [[nodiscard]] static Clock::duration sleep_after(Clock::duration waited) noexcept;

  void pause();

 private:
  Clock::time_point begin_ = Clock::now();
};

}  // namespace echelon::comm
