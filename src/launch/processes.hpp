#pragma once

#include <vector>

#include <sys/types.h>

namespace echelon::launch {

/// The living children of this process.
[[nodiscard]] std::vector<pid_t> children();

/// Kills the living descendants of this process, but for `spared` and theirs, and waits a few seconds for their end.
/// For a process that is a subreaper (PR_SET_CHILD_SUBREAPER): it is given the children of what ended before them.
void kill_descendants(const std::vector<pid_t>& spared);

}  // namespace echelon::launch
