#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#include <echelon/app/run.hpp>
#include <echelon/base/error.hpp>
#include <echelon/launch/rank_report.hpp>
#include <echelon/pool/crew.hpp>
#include <echelon/pool/error.hpp>
#include <echelon/pool/nursery.hpp>

#include "acts.hpp"
#include "program.hpp"
#include "stop_watch.hpp"

namespace echelon::app {
namespace {

using base::ExitCode;

/// What this process is a rank of, from run() until the process ends: what main does after run() may still use what the
/// body has made.
struct Run {
  Run(std::unique_ptr<pool::detail::Nursery> before_mpi, int& argc, char**& argv)
      : nursery{std::move(before_mpi)}, session{argc, argv} {}

  std::unique_ptr<pool::detail::Nursery> nursery;
  comm::Session session;
  std::thread::id thread = std::this_thread::get_id();
  std::optional<StopWatch> watch;  // on the master
  bool in_order = false;           // the workers have left as they were told; on a worker, it has
};
Run* running = nullptr;

/// The master's first act at its end: the run ends. Workers destroy their static objects before the master does: where
/// one writes a file, the master's is what stays.
void end_run() {
  const auto crew = pool::detail::crew(running->session);
  // exit() may have been called anywhere: in a task, in an input while the crew reads it, by another thread.
  if (std::this_thread::get_id() == running->thread) {
    try {
      crew->leave();
      running->in_order = true;
    } catch (const std::exception&) {
    }
  }
  if (!running->in_order) return crew->abandon();
  running->watch.reset();
  crew->end();  // for static objects that are, or have, pools and results
}

/// Its last one: the run's status is this process's.
void end_master(int status) {
  std::fflush(nullptr);
  launch::tell_outcome(status);           // before MPI ends: that may wait for a rank that was lost just now
  if (running->in_order) delete running;  // NOLINT: its owner is the process
}

void end_worker(int status) {
  if (running->in_order) {
    delete running;  // NOLINT
    return;
  }
  std::fflush(nullptr);
  pool::detail::tell_exit(running->session, status);
}

int run_on_master(comm::Session& session, const Body& body) {
  try {
    return call(body, session);
  } catch (const pool::TaskError& e) {
    return tell(ExitCode::tasks_failed, e.what());
  } catch (const pool::Stopped& e) {
    return tell(ExitCode::resumable, e.what());
  } catch (const base::UsageError& e) {
    return tell(ExitCode::usage, text_of(e));
  } catch (const std::exception& e) {
    return tell(ExitCode::broken, text_of(e));
  } catch (...) {
    return tell(ExitCode::broken, "the program threw something that is not a std::exception");
  }
}

/// Makes this process a rank. Returns on the master.
void begin_run(int& argc, char**& argv) {
  start_ranks(argc, argv);
  try {
    auto nursery = pool::detail::Nursery::start();  // before there are connections that it would hold open
    launch::tell_begun(comm::placement().rank);
    comm::set_abort_word(launch::tell_abort);
    running = new Run{std::move(nursery), argc, argv};
    launch::print_past_launcher();
  } catch (const std::exception& e) {
    end_without_body(tell(ExitCode::broken, e.what()));
  }
  const comm::Session& session = running->session;
  try {
    pool::detail::assemble(session, running->nursery.get());
    session.refuse_collectives(
        "all ranks call this together, and the body of echelon::run runs on the master alone; use echelon::parallel");
    if (session.is_master()) launch::tell_started();
    set_last_act(session.is_master() ? end_master : end_worker);
    if (session.is_master()) {
      set_first_act(end_run);
      running->watch.emplace(session, [crew = pool::detail::crew(session)] { crew->abandon(); });
      return;
    }
    pool::detail::serve(session, pool::detail::Until::master_leaves);
  } catch (const std::exception& e) {
    session.abort(ExitCode::broken, e.what());
  }
  running->in_order = true;
  std::exit(0);
}

}  // namespace

int run_body(int& argc, char**& argv, const Body& body) {
  if (running == nullptr) begin_run(argc, argv);
  const int status = run_on_master(running->session, body);
  pool::detail::crew(running->session)->follow_exit();
  return status;
}

}  // namespace echelon::app
