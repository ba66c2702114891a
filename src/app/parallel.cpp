#include <chrono>
#include <cstdio>
#include <optional>
#include <string>

#include <echelon/app/parallel.hpp>
#include <echelon/base/error.hpp>
#include <echelon/comm/backoff.hpp>
#include <echelon/comm/roster.hpp>
#include <echelon/launch/outcome.hpp>

#include "program.hpp"

namespace echelon::app {
namespace {

using base::ExitCode;

/// This rank's body has failed. Where the master fails as well, as all do over a wrong option, it alone says why.
[[noreturn]] void leave(const comm::Session& session, comm::Roster& roster, ExitCode code, const std::string& why) {
  constexpr std::chrono::seconds longest{1};  // how much later the master may fail for that
  if (session.is_master()) {
    roster.give_up();
    tell(code, why);
    launch::tell_outcome(static_cast<int>(code));
  } else {
    const auto end = std::chrono::steady_clock::now() + longest;
    for (comm::Backoff backoff; !roster.master_gave_up() && std::chrono::steady_clock::now() < end;) backoff.pause();
    if (!roster.master_gave_up()) session.abort(code, why);
  }
  session.leave(code);
}

/// Another rank is gone. The master says so, or the first of those that are left.
[[noreturn]] void leave_lost(const comm::Session& session, comm::Roster& roster, const std::string& why) {
  int first = 0;
  while (roster.is_lost(first)) ++first;
  if (session.rank() == first && !roster.master_gave_up()) {
    roster.give_up();
    tell(ExitCode::broken, why);
    launch::tell_outcome(static_cast<int>(ExitCode::broken));
  }
  session.leave(ExitCode::broken);
}

}  // namespace

int run_parallel(int& argc, char**& argv, const Body& body) {
  if (const auto status = start_ranks(argc, argv)) return *status;
  std::optional<comm::Session> session;
  comm::Roster* roster = nullptr;
  try {
    session.emplace(argc, argv);
    roster = &comm::Roster::of(*session);
  } catch (const std::exception& e) {
    if (session) session->abort(ExitCode::broken, e.what());
    return tell(ExitCode::broken, e.what());
  }
  int code = 0;
  try {
    code = body(*session);
    session->barrier();  // nobody ends before all have: who is lost until here is missed
  } catch (const comm::RankLost& e) {
    leave_lost(*session, *roster, e.what());
  } catch (const base::UsageError& e) {
    leave(*session, *roster, ExitCode::usage, e.what());
  } catch (const std::exception& e) {
    leave(*session, *roster, ExitCode::broken, e.what());
  } catch (...) {
    leave(*session, *roster, ExitCode::broken, "the program threw something that is not a std::exception");
  }
  std::fflush(stdout);
  if (!session->is_master()) return 0;
  launch::tell_outcome(code);  // before the session ends: that may wait for a rank that was lost just now
  return code;
}

}  // namespace echelon::app
