#pragma once

#include <optional>
#include <string_view>

#include <echelon/base/error.hpp>

namespace echelon::app {

/// A line on standard error; the code as an exit status.
int tell(base::ExitCode code, std::string_view what);

/// Starts the ranks where the first argument is -n, and returns their exit status then. Takes the two arguments out.
std::optional<int> start_ranks(int& argc, char**& argv);

}  // namespace echelon::app
