#pragma once

#include <array>
#include <chrono>
#include <cstddef>

namespace echelon::measure {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

/// What a rank's time goes to; a rank is in exactly one phase at any moment.
enum class Phase {
  startup,      ///< from main() until the workload begins: MPI_Init for the most part
  compute,      ///< useful work
  communicate,  ///< moving data: scatter, reduction, claiming a chunk
  wait,         ///< for other ranks, at a barrier put before what would otherwise hide it
};
inline constexpr std::size_t phase_count = 4;

/// Accounts for every moment since its start, so that the phases add up to the wall time by construction.
/// `now` is passed in by tests; everybody else leaves it out.
class PhaseClock {
 public:
  explicit PhaseClock(Clock::time_point now = Clock::now()) noexcept : start_{now}, since_{now} {}

  /// Ends the present phase and begins `phase`.
  void enter(Phase phase, Clock::time_point now = Clock::now()) noexcept {
    spent_[static_cast<std::size_t>(phase_)] += now - since_;
    phase_ = phase;
    since_ = now;
  }

  /// Of the phases that have ended.
  [[nodiscard]] Seconds spent(Phase phase) const noexcept { return spent_[static_cast<std::size_t>(phase)]; }
  /// From the start to the last enter(): the sum of all phases that have ended.
  [[nodiscard]] Seconds wall() const noexcept { return since_ - start_; }

 private:
  Clock::time_point start_;
  Clock::time_point since_;
  Phase phase_ = Phase::startup;
  std::array<Clock::duration, phase_count> spent_{};
};

}  // namespace echelon::measure
