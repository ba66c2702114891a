#pragma once

#include <vector>

#include <sys/types.h>

namespace echelon::base {

/// Living children of this process, as /proc shows them.
[[nodiscard]] std::vector<pid_t> children();

/// The same with their children and so on, parents first; those of `spared`, and their descendants, are left out.
[[nodiscard]] std::vector<pid_t> descendants(const std::vector<pid_t>& spared = {});

}  // namespace echelon::base
