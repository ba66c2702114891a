#include <cstdio>
#include <optional>

#include <echelon/app/run.hpp>
#include <echelon/base/error.hpp>
#include <echelon/launch/outcome.hpp>
#include <echelon/launch/start_report.hpp>
#include <echelon/pool/crew.hpp>
#include <echelon/pool/error.hpp>

#include "program.hpp"

namespace echelon::app {
namespace {

using base::ExitCode;

int run_on_master(comm::Session& session, const Body& body) {
  try {
    return body(session);
  } catch (const pool::TaskError& e) {
    return tell(ExitCode::tasks_failed, e.what());
  } catch (const base::UsageError& e) {
    return tell(ExitCode::usage, e.what());
  } catch (const std::exception& e) {
    return tell(ExitCode::broken, e.what());
  } catch (...) {
    return tell(ExitCode::broken, "the program threw something that is not a std::exception");
  }
}

}  // namespace

int run_body(int& argc, char**& argv, const Body& body) {
  if (const auto status = start_ranks(argc, argv)) return *status;
  int code = 0;
  std::optional<comm::Session> session;
  try {
    launch::tell_begun(comm::placement().rank);
    session.emplace(argc, argv);
  } catch (const std::exception& e) {
    return tell(ExitCode::broken, e.what());
  }
  try {
    pool::detail::assemble(*session);
    if (session->is_master()) launch::tell_started();
    if (!session->is_master()) {
      pool::detail::serve(*session, pool::detail::Until::master_leaves);
      return 0;
    }
    code = run_on_master(*session, body);
    pool::detail::crew(*session)->leave();
  } catch (const std::exception& e) {
    session->abort(ExitCode::broken, e.what());
  }
  std::fflush(stdout);
  launch::tell_outcome(code);  // before the session ends: that may wait for a rank that was lost just now
  return code;
}

}  // namespace echelon::app
