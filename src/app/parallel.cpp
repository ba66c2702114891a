#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <echelon/app/parallel.hpp>
#include <echelon/base/error.hpp>
#include <echelon/comm/backoff.hpp>
#include <echelon/comm/collectives.hpp>
#include <echelon/comm/nodes.hpp>
#include <echelon/comm/roster.hpp>
#include <echelon/launch/rank_report.hpp>
#include <echelon/pool/error.hpp>

#include "acts.hpp"
#include "program.hpp"
#include "stop_watch.hpp"

namespace echelon::app {
namespace {

using base::ExitCode;

/// Says why the run ends, to people, to the other ranks, and to who started them.
[[noreturn]] void end(const comm::Session& session, comm::Roster& roster, comm::Roster::End why,
                      const std::string& what) {
  tell(why.code, what);
  roster.give_up(why);
  launch::tell_outcome(static_cast<int>(why.code));
  session.leave(why.code);
}

/// Another rank has said why.
[[noreturn]] void leave(const comm::Session& session, comm::Roster& roster, comm::Roster::End why) {
  if (session.is_master()) {
    roster.give_up(why);  // whom that had not come to yet would take the master for lost
    launch::tell_outcome(static_cast<int>(why.code));
  }
  session.leave(why.code);
}

/// Why another rank ends the run, if it does so within so long.
std::optional<comm::Roster::End> wait_for_end(const comm::Roster& roster, std::chrono::seconds longest) {
  const auto until = std::chrono::steady_clock::now() + longest;
  for (comm::Backoff backoff; !roster.end() && std::chrono::steady_clock::now() < until;) backoff.pause();
  return roster.end();
}

/// Leaves where another rank says why the run ends, within so long.
void await_end(const comm::Session& session, comm::Roster& roster, std::chrono::seconds longest) {
  if (const auto why = wait_for_end(roster, longest)) leave(session, roster, *why);
}

/// This rank's body has failed. Of several that do, one says why: the master where it fails as well, as all do over a
/// wrong option.
[[noreturn]] void fail(const comm::Session& session, comm::Roster& roster, ExitCode code, const std::string& what) {
  if (!session.is_master()) await_end(session, roster, std::chrono::seconds{1});  // in which the master may fail, too
  if (!roster.claim_end()) await_end(session, roster, std::chrono::seconds{3});
  if (session.is_master()) end(session, roster, {session.rank(), code}, what);
  const std::string place =
      "rank " + std::to_string(session.rank()) + " on " + comm::Nodes::of(session).host(session.rank()) + ": ";
  end(session, roster, {session.rank(), code}, place + what);
}

/// Another rank is gone. The master says so, or the first of those that are left.
[[noreturn]] void lose(const comm::Session& session, comm::Roster& roster, const comm::RankLost& error) {
  // One that is still there is leaving, and about to say why.
  constexpr std::chrono::seconds longest{3};
  const auto until = std::chrono::steady_clock::now() + longest;
  for (comm::Backoff backoff; std::chrono::steady_clock::now() < until; backoff.pause()) {
    if (roster.end() || roster.is_lost(error.rank)) break;
  }
  if (const auto why = roster.end()) leave(session, roster, *why);
  if (session.rank() == roster.first_left()) end(session, roster, {error.rank, ExitCode::broken}, error.what());
  session.leave(ExitCode::broken);
}

/// What this process is a rank of, from parallel() until the process ends.
struct Part {
  Part(int& argc, char**& argv) : session{argc, argv} {}

  comm::Session session;
  comm::Roster* roster = nullptr;
  std::optional<StopWatch> watch;  // on the master
  bool body_has_ended = false;
};
Part* part = nullptr;

/// This rank's body has called exit(). The master ends the run so; another rank does where it fails, and else leaves
/// the others, who may do the same.
void exit_in_body(int status) {
  const comm::Session& session = part->session;
  if (session.is_master()) {
    part->roster->give_up({0, static_cast<ExitCode>(status & 0xff)});
    launch::tell_outcome(status);
    return;
  }
  if (status == 0) {
    (void)wait_for_end(*part->roster, std::chrono::seconds{1});
    return;
  }
  fail(session, *part->roster, static_cast<ExitCode>(status & 0xff), fmt::format("called exit({})", status));
}

/// A rank's last act: the run ends when the processes of all ranks have come to this, with the first status that is not
/// 0.
void end_part(int status) {
  std::fflush(nullptr);
  if (!part->body_has_ended) return exit_in_body(status);
  const comm::Session& session = part->session;
  try {
    const std::vector<int> all = part->roster->gather_statuses(status);
    if (session.is_master()) {
      const auto bad = std::ranges::find_if(all, [](int one) { return one != 0; });
      // Before the session ends: that may wait for a rank that was lost just now.
      launch::tell_outcome(bad == all.end() ? 0 : *bad);
    }
  } catch (const comm::RankLost& e) {
    lose(session, *part->roster, e);
  } catch (const std::exception& e) {
    session.abort(ExitCode::broken, e.what());
  }
  delete part;  // NOLINT: its owner is the process
}

/// Makes this process a rank.
void begin_part(int& argc, char**& argv) {
  start_ranks(argc, argv);
  try {
    launch::tell_begun(comm::placement().rank);
    comm::set_abort_word(launch::tell_abort);
    part = new Part{argc, argv};
    launch::print_past_launcher();
    constexpr std::chrono::seconds all_begin_within{60};  // of each other, on a machine where everything is slow
    part->roster = &comm::Roster::of(part->session, all_begin_within);
    if (part->session.is_master()) launch::tell_started();
  } catch (const std::exception& e) {
    if (part != nullptr) part->session.abort(ExitCode::broken, e.what());
    end_without_body(tell(ExitCode::broken, e.what()));
  }
  set_last_act(end_part);
  if (part->session.is_master()) {
    part->watch.emplace(part->session, [] { part->roster->give_up({0, ExitCode::broken}); });
  }
}

}  // namespace

int run_parallel(int& argc, char**& argv, const Body& body) {
  if (part == nullptr) begin_part(argc, argv);
  comm::Session& session = part->session;
  comm::Roster& roster = *part->roster;
  part->body_has_ended = false;
  int code = 0;
  try {
    code = call(body, session);
    roster.leave();  // nobody ends before all have: who is lost until here is missed
  } catch (const comm::RankLost& e) {
    lose(session, roster, e);
  } catch (const pool::Stopped& e) {
    fail(session, roster, ExitCode::resumable, e.what());
  } catch (const base::UsageError& e) {
    fail(session, roster, ExitCode::usage, text_of(e));
  } catch (const std::exception& e) {
    fail(session, roster, ExitCode::broken, text_of(e));
  } catch (...) {
    fail(session, roster, ExitCode::broken, "the program threw something that is not a std::exception");
  }
  part->body_has_ended = true;
  return session.is_master() ? code : 0;
}

}  // namespace echelon::app
