#pragma once

namespace echelon::launch {

/// From here on the signals that ask a program to end are counted instead. Those that are ignored stay so.
void count_stop_signals() noexcept;

/// 0; 1: to stop; 2: to end at once, which is INT, TERM or USR2 after a first. Of HUP and USR1 schedulers and terminals
/// send several, and `timeout` sends each signal twice in a row: these are one.
[[nodiscard]] int counted_stop_signals() noexcept;

/// The last one that counted, or 0.
[[nodiscard]] int last_stop_signal() noexcept;

}  // namespace echelon::launch
