#pragma once

#include <csignal>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include <echelon/study/command_line.hpp>

namespace echelon::study {

/// How the program of a run ended.
struct Ending {
  double launch_to_exit_s = 0;
  std::optional<double> cpu_s = {};  ///< of it, and of those of its descendants that were waited for
  int exit_code = 0;
  int signal = 0;
  std::string start_error = {};  ///< why it could not be started
  bool stopped = false;          ///< this process was asked to stop, and has ended it
  bool overran = false;          ///< it had no more time, and this process has ended it
};

/// As long as it lives, INT, TERM, HUP and USR1 ask this process to stop rather than end it (those that are ignored
/// stay so), and processes that lose their parents become its children. For a process of one thread, one at a time.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// There was one.
  [[nodiscard]] bool asked() noexcept;

 private:
  friend Ending run_process(const CommandLine&, const std::string&, const std::string&, std::optional<double>,
                            StopSignals&, const std::function<void()>&);
  sigset_t signals_{};  // and CHLD
  sigset_t before_{};
  std::vector<pid_t> spared_;  // children that were there before
  int requests_ = 0;
};

/// Runs a command to its end, in a process group of its own, without input, and leaves nothing of it behind. Asked to
/// stop, or `most_s` after its start, it gives the group 10 s after TERM; asked again, none. `tick`, where given, is
/// called about once a second. Where this process is killed, the command is sent TERM.
[[nodiscard]] Ending run_process(const CommandLine& line, const std::string& out_file, const std::string& err_file,
                                 std::optional<double> most_s, StopSignals& signals,
                                 const std::function<void()>& tick = nullptr);

}  // namespace echelon::study
