#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace echelon::launch {

/// Processes that ranks have started and left running, as a task does with `daemon &`: they hold the output that a
/// launcher hands on, so that it would not end before they do. What loses its parent is a child of this process, which
/// is a subreaper.
class LeftBehind {
 public:
  /// `spared`: children of this process that are not of the run.
  LeftBehind(pid_t launcher, std::vector<pid_t> spared);

  /// The run has come to its outcome: ends them as soon as no rank is there any more.
  void look();
  /// The launcher has ended: ends what is left, and returns a line on all that was ended; empty where nothing was.
  [[nodiscard]] std::string finish();

 private:
  std::vector<pid_t> spared_;
  std::vector<pid_t> not_ours_;         // the launcher, too
  std::map<pid_t, std::string> names_;  // of all that were seen
  std::map<pid_t, std::string> ended_;
  std::optional<std::chrono::steady_clock::time_point> alone_since_;  // no rank is there any more
};

/// Kills the living descendants of this process, but for `spared` and theirs, and waits a few seconds for their end.
/// This process is a subreaper (PR_SET_CHILD_SUBREAPER): it is given the children of what ended before them.
void end_descendants(const std::vector<pid_t>& spared);

/// The folder in which an mpirun keeps its files, some of which it has mapped; it removes them unless it is killed.
/// Empty if the folder is not known.
[[nodiscard]] std::filesystem::path files_of_mpirun(pid_t mpirun);
void remove_files_of_mpirun(const std::filesystem::path& folder);

}  // namespace echelon::launch
