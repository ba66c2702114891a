#pragma once

#include <csignal>
#include <functional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace echelon::launch {

/// The process that becomes the launcher; there is one in a program's life, as signal handlers have to know it.
struct LauncherCommand {
  std::vector<std::string> words;
  std::function<void()> set_environment = {};  ///< called there
  bool is_mpirun = false;
  int input = 0;
  int output = 1;
  int errors = 2;
};

/// Starts it with the signal mask `mask`, in a process group of its own: what a terminal sends does not reach it. It
/// ends with this process. @pre all signals are blocked. Throws std::runtime_error if there can be no process.
[[nodiscard]] pid_t start_launcher(const LauncherCommand& command, const sigset_t& mask);

/// From now on signals to this process are sent to the launcher, once there is one.
void pass_signals_on();
/// The last signal that asked this process to end, or a user's one; 0 without.
[[nodiscard]] int last_passed_signal() noexcept;

/// The last one ends the run: INT, TERM or HUP.
[[nodiscard]] bool is_told_to_end() noexcept;

/// By which this process ends the launcher in order. mpirun has TERM and INT blocked: batch systems, and who ends a
/// whole process tree, send these to mpirun as well, which would kill its ranks before they can stop in order.
[[nodiscard]] int end_signal() noexcept;
/// Without effect once the launcher has ended.
void signal_launcher(int signal) noexcept;
/// It has been waited for.
void forget_launcher() noexcept;

}  // namespace echelon::launch
