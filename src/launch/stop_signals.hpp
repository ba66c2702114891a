#pragma once

#include <array>
#include <csignal>

namespace echelon::launch {

/// That ask a program to end.
inline constexpr std::array stop_signals{SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};

/// From here on these signals are counted instead. Those that are ignored stay so.
void count_stop_signals() noexcept;

/// 0; 1: to stop; 2: to end at once, which is INT, TERM or USR2 after a first. Of HUP and USR1 schedulers and terminals
/// send several, and `timeout` sends each signal twice in a row: these are one. So is what comes right after a USR1, by
/// which a starter hands on to a rank of another node what a batch system may send to that rank as well.
[[nodiscard]] int counted_stop_signals() noexcept;

/// The last one that counted, or 0.
[[nodiscard]] int last_stop_signal() noexcept;

}  // namespace echelon::launch
