#pragma once

namespace echelon::app {

/// Does this when the process ends by exit() or by main's return, with that status: after all that the program does
/// then itself, as destructors of static objects and what it gave to atexit(). Not in children that it forks.
void set_last_act(void (*act)(int status)) noexcept;

}  // namespace echelon::app
