#pragma once

#include <chrono>
#include <optional>

namespace echelon::launch {

/// What patience depends on, at this moment.
struct RunState {
  bool is_told_to_end = false;  ///< the launcher is: by the user's signal, or as standard output took nothing
  int requests_to_stop = 0;     ///< of a run that stops by itself
  int asked_to_stop = 0;        ///< of these, what rank 0 was given
  bool line_is_left = false;    ///< rank 0 had a line to this process, and has left it
  bool start_failed = false;    ///< MPI cannot start any more
  bool outlives_ranks = false;
  bool is_aborted = false;  ///< a rank has called MPI_Abort
  bool has_outcome = false;
  bool master_has_ended = false;
};

/// When to end a launcher that does not end by itself: it waits for every rank, and for ever for those that hang, were
/// stopped, or went with their node.
class Patience {
 public:
  /// The signal to send to the launcher now, or 0. `end_signal`: by which it ends in order.
  int signal_now(const RunState& run, int end_signal);
  [[nodiscard]] bool has_begun() const noexcept { return begun_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Step {
    int signal;
    Clock::time_point at;
  };

  [[nodiscard]] static std::optional<Step> first(const RunState& run, int end_signal);

  std::optional<Step> next_;
  bool begun_ = false;
};

}  // namespace echelon::launch
