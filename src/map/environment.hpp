#pragma once

#include <string>
#include <vector>

#include <echelon/comm/session.hpp>

namespace echelon::map {

/// What all commands of this rank are given, besides what the user has set: how many threads fit. Collective the first
/// time.
[[nodiscard]] std::vector<std::string> rank_environment(const comm::Session& session);

}  // namespace echelon::map
