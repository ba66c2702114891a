#pragma once

#include <echelon/app/body.hpp>

namespace echelon::app {

/// A whole program whose body runs on every rank, each with its own part: starts MPI, calls `body` on all ranks, and
/// ends all of it when all have returned. Queues, pipes, locks, values and arrays are made in such a body, by all ranks
/// in the same order.
///
/// Returns the exit status for main(): the master's is what its body returns, 0 for a body of void; the other ranks' is
/// 0. Where a body throws, that is told in a line, and the status is 2 for a UsageError, 4 for anything else; the other
/// ranks that wait for it throw comm::RankLost, and end too.
///
/// A rank that waits in a call of all ranks for one that makes another, or has left its body, throws std::logic_error
/// that names both (see comm::Collective).
///
/// `program -n RANKS ...` starts the ranks itself, as for echelon::run.
[[nodiscard]] int run_parallel(int& argc, char**& argv, const Body& body);

template <typename F>
[[nodiscard]] int parallel(int& argc, char**& argv, F body) {
  return run_parallel(argc, argv, make_body(body));
}

}  // namespace echelon::app
