#pragma once

#include <string_view>
#include <vector>

#include <unistd.h>

#include <echelon/launch/launcher.hpp>

namespace echelon::launch {

/// Set in the ranks of a launch that LaunchRequest::stops_by_itself; its value is where Starter finds it.
inline constexpr const char* starter_variable = "ECHELON_STARTER";

/// Rank 0's line to the launch() that started it, which must be one that stops_by_itself: the starter's own input,
/// output and standard error, without mpirun between, and its requests to stop. Where that launch() is on another node,
/// or rank 0 has none, its own standard descriptors and the signals that it gets itself.
///
/// For rank 0 alone, one at a time, once MPI has started everywhere. The descriptors are shared with the user's other
/// processes: set no flags on them. Programs that this process runs do not get them. From here on writing to a pipe
/// that nobody reads is EPIPE, not a signal.
class Starter {
 public:
  Starter();
  ~Starter();
  Starter(const Starter&) = delete;
  Starter& operator=(const Starter&) = delete;

  /// Of the starter itself; a pipe with the same where the starter's is a terminal. Empty unless it reads_input.
  [[nodiscard]] int input() const noexcept { return input_; }
  [[nodiscard]] int output() const noexcept { return output_; }
  [[nodiscard]] int errors() const noexcept { return errors_; }
  /// Of LaunchRequest::files the one of that name; -1: it has none.
  [[nodiscard]] int file(std::string_view name) const noexcept;
  /// These are the starter's own.
  [[nodiscard]] bool is_here() const noexcept { return output_ != STDOUT_FILENO; }

  /// 0; 1 once there was a request to stop, by the line or a signal; 2 once there was one to end at once, or the
  /// starter is gone. A system call.
  [[nodiscard]] int stop_requests() noexcept;

 private:
  int line_ = -1;
  int input_ = STDIN_FILENO;
  int output_ = STDOUT_FILENO;
  int errors_ = STDERR_FILENO;
  std::vector<GivenFile> files_;
  int requests_ = 0;
};

/// For all ranks of such a launch, before MPI starts: signals that ask to stop, which batch systems send to each
/// process, end none of them. Rank 0 keeps them for its Starter; the others leave stopping to rank 0.
void expect_stop_signals(int rank) noexcept;

}  // namespace echelon::launch
