#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include <echelon/app/run.hpp>
#include <echelon/base/error.hpp>
#include <echelon/base/number.hpp>
#include <echelon/launch/launcher.hpp>
#include <echelon/launch/outcome.hpp>
#include <echelon/pool/crew.hpp>
#include <echelon/pool/error.hpp>

namespace echelon::app {
namespace {

using base::ExitCode;

int tell(ExitCode code, std::string_view what) {
  std::fflush(stdout);
  const std::string line = fmt::format("echelon: {}\n", what);
  std::fwrite(line.data(), 1, line.size(), stderr);
  return static_cast<int>(code);
}

/// The ranks asked for by a first argument -n, which is taken out.
std::optional<std::uint64_t> take_ranks(int& argc, char**& argv) {
  if (argc < 2 || (argv[1] != std::string_view{"-n"} && argv[1] != std::string_view{"--ranks"})) return std::nullopt;
  if (argc < 3) throw base::UsageError("-n: give the number of ranks, as in -n 4");
  constexpr std::uint64_t max_ranks = 1'000'000;
  std::uint64_t ranks = 0;
  try {
    ranks = base::parse_count(argv[2], 1, max_ranks);
  } catch (const base::UsageError& e) {
    throw base::UsageError(fmt::format("-n: {}", e.what()));
  }
  argv[2] = argv[0];
  argv += 2;
  argc -= 2;
  return ranks;
}

int run_on_master(comm::Session& session, const std::function<int(comm::Session&)>& body) {
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

int run_body(int& argc, char**& argv, const std::function<int(comm::Session&)>& body) {
  const comm::Placement place = comm::placement();
  try {
    const auto ranks = take_ranks(argc, argv);
    if (ranks && place.launched) {
      throw base::UsageError("-n: a launcher has already started the ranks; leave -n out, or leave the launcher out");
    }
    if (ranks) {
      launch::LaunchRequest request{
          .ranks = *ranks, .threads = 1, .outlives_ranks = true, .program = {launch::this_executable()}};
      request.program.insert(request.program.end(), argv + 1, argv + argc);
      return launch::launch(request);
    }
  } catch (const base::UsageError& e) {
    return place.rank == 0 ? tell(ExitCode::usage, e.what()) : 0;
  }
  int code = 0;
  std::optional<comm::Session> session;
  try {
    session.emplace(argc, argv);
  } catch (const std::exception& e) {
    return tell(ExitCode::broken, e.what());
  }
  try {
    pool::detail::assemble(*session);
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
