#pragma once

#include <string>
#include <vector>

#include <echelon/launch/launcher.hpp>

namespace echelon::launch {

class RankWatch;

/// How the launcher of a run ended.
struct LauncherEnd {
  std::string name;                     ///< as typed, for people
  int status = 0;                       ///< as waitpid() gives it
  bool was_first = false;               ///< no rank had been killed before
  bool was_signaled = false;            ///< by this process
  std::vector<int> never_started = {};  ///< ranks that ended before MPI had started everywhere (StartWatch::lost)
};

/// What becomes of a run: its exit status, and why, a sentence's beginning that lacks what to type next. No reason:
/// there is nothing to say, or a rank has said it.
struct Ending {
  int status = 0;
  std::string why = {};
};

/// From what the ranks told, how they ended, and the launcher's status, in this order; never from a launcher's words.
[[nodiscard]] Ending ending_of(const LaunchRequest& request, RankWatch& ranks, const LauncherEnd& launcher);

}  // namespace echelon::launch
