#pragma once

#include <echelon/app/body.hpp>

namespace echelon::app {

/// A whole program: starts MPI, runs `body` on the master while the other ranks serve its pools, and ends all of it.
/// Returns the exit status for main(): what the body returns, 0 for a body of void; where it throws, a line on standard
/// error and 3 for a TaskError, 2 for a UsageError, 4 for anything else.
///
/// What all ranks call together, as the constructor of a Queue, Pipe, Lock, Value or Array, throws std::logic_error in
/// the body, which the master runs alone: use echelon::parallel for these.
///
/// A child that a task or the body forks is to end by exec or _exit: one that comes back is ended, with a line on
/// standard error. A process that they leave running is ended with the run where -n has started the ranks.
///
/// `program -n RANKS ...` starts the ranks itself, as `echelon -n` does: with Open MPI's mpirun, so that the job
/// outlives a rank. The two arguments are gone from argv then.
[[nodiscard]] int run_body(int& argc, char**& argv, const Body& body);

template <typename F>
[[nodiscard]] int run(int& argc, char**& argv, F body) {
  return run_body(argc, argv, make_body(body));
}

}  // namespace echelon::app
