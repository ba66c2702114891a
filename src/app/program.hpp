#pragma once

#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include <echelon/app/body.hpp>
#include <echelon/base/error.hpp>

namespace echelon::app {

/// A line on standard error; the code as an exit status.
int tell(base::ExitCode code, std::string_view what);

/// What the body returns, or throws; a child that it has forked does not come back.
int call(const Body& body, comm::Session& session);

/// What the program threw, for people.
std::string text_of(const std::exception& thrown);

/// Starts the ranks where the first argument is -n, and returns their exit status then. Takes the two arguments out.
std::optional<int> start_ranks(int& argc, char**& argv);

}  // namespace echelon::app
