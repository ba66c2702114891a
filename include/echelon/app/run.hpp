#pragma once

#include <functional>
#include <type_traits>
#include <utility>

#include <echelon/comm/session.hpp>

namespace echelon::app {

/// A whole program: starts MPI, runs `body` on the master while the other ranks serve its pools, and ends all of it.
/// Returns the exit status for main(): what the body returns, 0 for a body of void; where it throws, a line on standard
/// error and 3 for a TaskError, 2 for a UsageError, 4 for anything else.
///
/// `program -n RANKS ...` starts the ranks itself, as `echelon -n` does: with Open MPI's mpirun, so that the job
/// outlives a rank. The two arguments are gone from argv then.
[[nodiscard]] int run_body(int& argc, char**& argv, const std::function<int(comm::Session&)>& body);

template <typename Body>
requires std::is_invocable_v<Body&, comm::Session&>
[[nodiscard]] int run(int& argc, char**& argv, Body body) {
  return run_body(argc, argv, [&](comm::Session& session) -> int {
    if constexpr (std::is_void_v<std::invoke_result_t<Body&, comm::Session&>>) {
      body(session);
      return 0;
    } else {
      return body(session);
    }
  });
}

}  // namespace echelon::app
