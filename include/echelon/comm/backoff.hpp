#pragma once

#include <chrono>
#include <cstdint>

namespace echelon::comm {

/// What to do between two looks at something that has not happened yet: spin, then yield, then sleep. A sleep lasts a
/// sixteenth of the wait so far and at most 2 ms, so a wait is at most 6 % longer than it has to be (and what the
/// system adds to a sleep, some 50 us), or 2 ms, and a long one takes a few per cent of a core.
///
/// A sleep costs about 20 us of CPU. A rank that waits for tasks of 100 ms took 3.2 % of a core with yields up to 1 ms
/// and sleeps of at most 1 ms, 2.7 % with yields up to 200 us, and 2.2 % with these and sleeps of up to 2 ms.
class Backoff {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr std::chrono::microseconds spin{50};
  static constexpr std::chrono::microseconds yield{200};
  static constexpr std::chrono::microseconds longest_sleep{2000};

  /// How long to sleep after having waited for `waited`; zero: do not sleep yet.
  [[nodiscard]] static Clock::duration sleep_after(Clock::duration waited) noexcept;

  /// `yields_at_once`: no spinning, where what is waited for may need this very CPU.
  Backoff(bool yields_at_once = false) noexcept : spin_{yields_at_once ? Clock::duration::zero() : spin} {}

  void pause();

 private:
  Clock::duration spin_;
  Clock::time_point begin_ = Clock::now();
};

}  // namespace echelon::comm
