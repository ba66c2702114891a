#pragma once

#include <exception>
#include <stdexcept>

namespace echelon::base {

/// What the program's exit status says.
enum class ExitCode : int {
  done = 0,
  wrong_answer = 1,  ///< the answer failed its own check
  usage = 2,         ///< one line on standard error names the option and the way out
  tasks_failed = 3,
  broken = 4,      ///< MPI, I/O, an invariant, a lost rank
  resumable = 75,  ///< stopped early (EX_TEMPFAIL of sysexits.h)
};

/// what() of what a user threw, whose author may have it return nullptr: an empty text.
[[nodiscard]] inline const char* what_of(const std::exception& thrown) noexcept {
  const char* const what = thrown.what();
  return what == nullptr ? "" : what;
}

/// The user asked for what cannot be done; the text names the option and the way out, on one line.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace echelon::base
