#pragma once

#include <echelon/app/body.hpp>

namespace echelon::app {

/// A whole program: starts MPI, and runs `body` on the master while the other ranks serve its pools.
///
/// Returns on the master alone, so what stands behind it in main() is done once, and there the pools and results of the
/// body can still be used. What it returns is for main() to return: what the body returned, 0 for a body of void; where
/// it throws, there is a line on standard error, and it is 3 for a TaskError, 75 for Stopped, 2 for a UsageError, 4 for
/// anything else. Called again, it runs another body.
///
/// The run ends with the master's process, and with its status, by whatever return or exit() that ends, also within the
/// body. The other ranks end within run(): their static objects are destroyed, before the master's are. A task that
/// calls exit() ends the run with that status, once the master waits for results.
///
/// What all ranks call together, as the constructor of a Queue, Pipe, Lock, Value or Array, throws std::logic_error in
/// the body, which the master runs alone: use echelon::parallel for these.
///
/// A child that a task or the body forks is to end by exec or _exit: one that comes back is ended, with a line on
/// standard error. A process that they leave running is ended with the run where -n has started the ranks.
///
/// `program -n RANKS ...` starts the ranks itself, as `echelon -n` does: with Open MPI's mpirun, so that the job
/// outlives a rank. The process that was started so waits for them and ends within run() with the status of the run;
/// its static objects are not destroyed. The two arguments are gone from argv in the ranks.
///
/// INT, TERM, HUP, USR1 and USR2 to that process, or to a master that was started otherwise, are requests to stop, of
/// which comm::Session::stop_requested() tells, and pools heed them (pool::Stopped); but not where the program has a
/// handler of its own, or ignores the signal. Another INT, TERM or USR2 ends the run at once, as do 30 s after the
/// first, for which `program -n RANKS --grace TIME ...`, or ECHELON_GRACE_S, sets another time.
[[nodiscard]] int run_body(int& argc, char**& argv, const Body& body);

template <typename F>
[[nodiscard]] int run(int& argc, char**& argv, F body) {
  return run_body(argc, argv, make_body(body));
}

}  // namespace echelon::app
