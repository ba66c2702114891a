#pragma once

#include <echelon/app/body.hpp>

namespace echelon::app {

/// A whole program whose body runs on every rank, each with its own part: starts MPI and calls `body` on all ranks.
/// Queues, pipes, locks, values and arrays are made in such a body, by all ranks in the same order.
///
/// Returns on every rank, when the bodies of all have returned, so each goes on in main() with what it has, as after
/// MPI_Finalize. What it returns is for main() to return: on the master what its body returned, 0 for a body of void;
/// on the other ranks 0. Where a body throws, all ranks end within parallel(), after a line that tells it: with status
/// 2 for a UsageError, 75 for pool::Stopped, 4 for anything else. So they do where one calls exit() in its body, with
/// that status.
///
/// A rank that waits in a call of all ranks for one that makes another, or has left its body, throws std::logic_error
/// that names both (see comm::Collective).
///
/// The run ends when the processes of all ranks have ended, with the first status that is not 0, from rank 0 on.
///
/// `program -n RANKS ...` starts the ranks itself, and requests to stop reach the master, as for echelon::run.
[[nodiscard]] int run_parallel(int& argc, char**& argv, const Body& body);

template <typename F>
[[nodiscard]] int parallel(int& argc, char**& argv, F body) {
  return run_parallel(argc, argv, make_body(body));
}

}  // namespace echelon::app
