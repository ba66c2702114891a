#include <chrono>
#include <cstdio>
#include <optional>
#include <string>

#include <echelon/app/parallel.hpp>
#include <echelon/base/error.hpp>
#include <echelon/comm/backoff.hpp>
#include <echelon/comm/nodes.hpp>
#include <echelon/comm/roster.hpp>
#include <echelon/launch/outcome.hpp>
#include <echelon/launch/start_report.hpp>

#include "program.hpp"

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

/// This rank's body has failed. Where the master fails as well, as all do over a wrong option, it alone says why.
[[noreturn]] void fail(const comm::Session& session, comm::Roster& roster, ExitCode code, const std::string& what) {
  if (session.is_master()) end(session, roster, {session.rank(), code}, what);
  constexpr std::chrono::seconds longest{1};  // how much later the master may fail for that
  const auto until = std::chrono::steady_clock::now() + longest;
  for (comm::Backoff backoff; std::chrono::steady_clock::now() < until; backoff.pause()) {
    if (const auto why = roster.end()) leave(session, roster, *why);
  }
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

}  // namespace

int run_parallel(int& argc, char**& argv, const Body& body) {
  if (const auto status = start_ranks(argc, argv)) return *status;
  std::optional<comm::Session> session;
  comm::Roster* roster = nullptr;
  try {
    launch::tell_begun(comm::placement().rank);
    session.emplace(argc, argv);
    constexpr std::chrono::seconds all_begin_within{60};  // of each other, on a machine where everything is slow
    roster = &comm::Roster::of(*session, all_begin_within);
    if (session->is_master()) launch::tell_started();
  } catch (const std::exception& e) {
    if (session) session->abort(ExitCode::broken, e.what());
    return tell(ExitCode::broken, e.what());
  }
  int code = 0;
  try {
    code = body(*session);
    session->barrier();  // nobody ends before all have: who is lost until here is missed
  } catch (const comm::RankLost& e) {
    lose(*session, *roster, e);
  } catch (const base::UsageError& e) {
    fail(*session, *roster, ExitCode::usage, e.what());
  } catch (const std::exception& e) {
    fail(*session, *roster, ExitCode::broken, e.what());
  } catch (...) {
    fail(*session, *roster, ExitCode::broken, "the program threw something that is not a std::exception");
  }
  std::fflush(stdout);
  if (!session->is_master()) return 0;
  launch::tell_outcome(code);  // before the session ends: that may wait for a rank that was lost just now
  return code;
}

}  // namespace echelon::app
