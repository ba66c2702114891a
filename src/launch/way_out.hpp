#pragma once

#include <string>

#include <echelon/launch/launcher.hpp>

namespace echelon::launch {

/// What to type after a run that is lost, and before that what to mend of this machine, where that is plain to see.
[[nodiscard]] std::string way_out(const LaunchRequest& request);

}  // namespace echelon::launch
