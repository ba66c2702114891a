#pragma once

#include <array>
#include <csignal>

namespace echelon::launch {

/// That ask a program to end.
inline constexpr std::array stop_signals{SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};

/// Of the signals that ask a program to end: those that it does not ignore, or only those for which it has no handler
/// of its own either.
enum class TakeOver { all_but_ignored, defaults };

void take_over_stop_signals(const struct sigaction& action, TakeOver which) noexcept;

/// From here on these signals are counted instead. What nohup ignores stays ignored.
void count_stop_signals(TakeOver which = TakeOver::all_but_ignored) noexcept;

/// Those that are counted still have their default effect again.
void release_stop_signals() noexcept;

/// This process is a rank: a starter on another node hands a first request on by USR1, and a batch system may send the
/// rank the signal itself as well, which is no second request then. A second one is handed on by USR2.
void expect_handed_on_signals() noexcept;

/// 0; 1: to stop; 2: to end at once, which is INT, TERM or USR2 after a first. Of HUP and USR1 schedulers and terminals
/// send several, and `timeout` sends each signal twice in a row: these are one.
[[nodiscard]] int counted_stop_signals() noexcept;

/// The last one that counted, or 0.
[[nodiscard]] int last_stop_signal() noexcept;

/// Can be read once a signal was counted, until it is cleared; -1 before count_stop_signals().
[[nodiscard]] int stop_signals_descriptor() noexcept;
void clear_stop_signals_descriptor() noexcept;

}  // namespace echelon::launch
