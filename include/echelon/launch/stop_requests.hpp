#pragma once

namespace echelon::launch {

/// How long a program that was asked to stop has, in seconds.
inline constexpr const char* grace_variable = "ECHELON_GRACE_S";

/// The requests to stop that reach rank 0 of a program: over a line from the launch() that started it, which must be
/// one that stops_by_itself, and as signals of its own. A signal for which the program has a handler of its own, or
/// which it ignores, stays the program's.
///
/// For rank 0 alone, one at a time, once MPI has started everywhere.
class StopRequests {
 public:
  StopRequests();
  ~StopRequests();
  StopRequests(const StopRequests&) = delete;
  StopRequests& operator=(const StopRequests&) = delete;

  /// Returns when there is something new, `wake` can be read, or `limit_ms` are over; a negative limit is none.
  void wait(int wake, int limit_ms) const noexcept;
  /// 0; 1 once there was a request to stop; 2 once there was one to end at once, or the launch() is gone.
  [[nodiscard]] int count() noexcept;
  /// The one that was counted last; 0 where that is not known.
  [[nodiscard]] int signal() const noexcept { return signal_; }
  [[nodiscard]] bool is_starter_gone() const noexcept { return starter_is_gone_; }

 private:
  int line_ = -1;
  bool is_out_of_reach_ = false;  // the line is this rank's connection
  int asked_by_line_ = 0;
  int asked_by_signals_ = 0;
  int signal_ = 0;
  bool starter_is_gone_ = false;
};

/// For the other ranks of such a program, at their start: what a terminal, a batch system or mpirun sends to all of
/// them is left to rank 0. Signals for which the program has a handler, or which it ignores, stay so.
void leave_all_stopping_to_rank_0() noexcept;

}  // namespace echelon::launch
