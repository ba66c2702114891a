#pragma once

#include <exception>
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

/// Starts the ranks where the first argument is -n, and ends this process with their status then. Takes that argument
/// and what belongs to it out. On a rank that was started, prepares it for requests to stop, which are the master's.
void start_ranks(int& argc, char**& argv);

/// Ends this process, in which no body has run: what was printed is written, but the program's static objects, as one
/// that writes results, are not destroyed.
[[noreturn]] void end_without_body(int status);

}  // namespace echelon::app
