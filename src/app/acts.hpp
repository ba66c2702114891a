#pragma once

namespace echelon::app {

/// What this process does when it ends by exit(), or by main's return. Not in children that it forks.
///
/// The first act comes before static objects are destroyed that were there when it was set, the last one, with the exit
/// status, after all of them and after what the program itself gave to atexit().
void set_first_act(void (*act)());
void set_last_act(void (*act)(int status)) noexcept;

}  // namespace echelon::app
