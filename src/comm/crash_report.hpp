#pragma once

#include <cstdint>

namespace echelon::comm {

/// If a signal ends this process, it first writes a gave_up frame with its Death to this liveness connection, so that
/// the master can say how the rank died: the kernel tells that only to a process's parent, or on the same host.
/// What was set up for the signal before, by Open MPI or by default, then happens. Handlers of the program's own are
/// left alone, as they may know how to go on. One socket a process; -1: none any more.
void report_crashes_to(int socket) noexcept;

}  // namespace echelon::comm
