#include <string_view>

#include <pthread.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/base/forked_child.hpp>

namespace echelon::base {

std::atomic<bool> detail::is_forked_child = false;

void know_forked_children() {
  static const int registered =
      pthread_atfork(nullptr, nullptr, [] { detail::is_forked_child.store(true, std::memory_order_relaxed); });
  (void)registered;  // without memory for it, children are not known
}

void detail::end_forked_child() noexcept {
  constexpr std::string_view line =
      "echelon: a process that the program has forked came back out of its task or body, and was ended there; end it "
      "by exec or _exit\n";
  (void)!write(STDERR_FILENO, line.data(), line.size());
  _exit(static_cast<int>(ExitCode::broken));  // what its parent has not flushed yet is not its own to print
}

}  // namespace echelon::base
