#pragma once

#include <atomic>

namespace echelon::base {

namespace detail {
extern std::atomic<bool> is_forked_child;
[[noreturn]] void end_forked_child() noexcept;
}  // namespace detail

/// From now on children that fork() makes of this process know that they are.
void know_forked_children();

/// After code of the user's, in a process that has called know_forked_children(): a child that this code has forked and
/// that has come back out of it would go on as if it were its parent, and is ended here, with a line on standard error.
/// A relaxed load.
inline void end_forked_child() noexcept {
  if (detail::is_forked_child.load(std::memory_order_relaxed)) [[unlikely]] {
    detail::end_forked_child();
  }
}

}  // namespace echelon::base
