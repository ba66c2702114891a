#include "program.hpp"

#include <cstdio>
#include <string>

#include <fmt/format.h>

#include <echelon/base/forked_child.hpp>
#include <echelon/base/number.hpp>
#include <echelon/comm/session.hpp>
#include <echelon/launch/launcher.hpp>

namespace echelon::app {
namespace {

using base::ExitCode;

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

}  // namespace

int tell(ExitCode code, std::string_view what) {
  std::fflush(stdout);
  const std::string line = fmt::format("echelon: {}\n", what);
  std::fwrite(line.data(), 1, line.size(), stderr);
  return static_cast<int>(code);
}

int call(const Body& body, comm::Session& session) {
  try {
    const int code = body(session);
    base::end_forked_child();
    return code;
  } catch (...) {
    base::end_forked_child();
    throw;
  }
}

std::string text_of(const std::exception& thrown) {
  const std::string text = base::what_of(thrown);
  return text.empty() ? "the program threw an exception without a text" : text;
}

std::optional<int> start_ranks(int& argc, char**& argv) {
  const comm::Placement place = comm::placement();
  try {
    const auto ranks = take_ranks(argc, argv);
    if (!ranks) return std::nullopt;
    if (place.launched) {
      throw base::UsageError("-n: a launcher has already started the ranks; leave -n out, or leave the launcher out" +
                             launch::way_out_of_step());
    }
    launch::LaunchRequest request{
        .ranks = *ranks, .threads = 1, .outlives_ranks = true, .program = {launch::this_executable()}};
    request.program.insert(request.program.end(), argv + 1, argv + argc);
    return launch::launch(request);
  } catch (const base::UsageError& e) {
    return place.rank == 0 ? tell(ExitCode::usage, e.what()) : 0;
  }
}

}  // namespace echelon::app
