#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <sys/types.h>
#include <unistd.h>

namespace echelon::base {

/// Living children of a process, as /proc shows them.
[[nodiscard]] std::vector<pid_t> children(pid_t parent = getpid());

/// The same with their children and so on, parents first; those of `spared`, and their descendants, are left out.
[[nodiscard]] std::vector<pid_t> descendants(const std::vector<pid_t>& spared = {});

/// What a process does at this moment.
struct Activity {
  char state = '?';             ///< of its first thread, as /proc writes it: S sleeps
  std::uint64_t cpu_ticks = 0;  ///< that all of its threads have used so far
};
/// Nothing where the process is gone.
[[nodiscard]] std::optional<Activity> activity(pid_t process);

/// The living processes, but this one, that have this entry ("NAME=value") in the environment that they began with, as
/// far as this user may see that.
[[nodiscard]] std::vector<pid_t> processes_with(std::string_view entry);

}  // namespace echelon::base
