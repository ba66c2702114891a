#include "program.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <iostream>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

#include <echelon/base/forked_child.hpp>
#include <echelon/base/number.hpp>
#include <echelon/comm/session.hpp>
#include <echelon/launch/launcher.hpp>
#include <echelon/launch/rank_report.hpp>
#include <echelon/launch/stop_requests.hpp>

#include "stop_watch.hpp"

namespace echelon::app {
namespace {

using base::ExitCode;

/// The value of the option that comes first, which is taken out with it; nothing where that is none of these.
std::optional<std::string> take_option(int& argc, char**& argv, std::initializer_list<std::string_view> names,
                                       std::string_view way_out) {
  if (argc < 2 || std::ranges::find(names, argv[1]) == names.end()) return std::nullopt;
  if (argc < 3) throw base::UsageError(fmt::format("{}: {}", argv[1], way_out));
  std::string value = argv[2];
  argv[2] = argv[0];
  argv += 2;
  argc -= 2;
  return value;
}

/// The ranks asked for by a first argument -n.
std::optional<std::uint64_t> take_ranks(int& argc, char**& argv) {
  const auto text = take_option(argc, argv, {"-n", "--ranks"}, "give the number of ranks, as in -n 4");
  if (!text) return std::nullopt;
  constexpr std::uint64_t max_ranks = 1'000'000;
  try {
    return base::parse_count(*text, 1, max_ranks);
  } catch (const base::UsageError& e) {
    throw base::UsageError(fmt::format("-n: {}", e.what()));
  }
}

/// --grace behind it; the ranks find it in the environment.
void take_grace(int& argc, char**& argv) {
  const auto text = take_option(argc, argv, {"--grace"}, "give a time, as in --grace 2m");
  if (!text) return;
  try {
    (void)base::parse_seconds(*text);
  } catch (const base::UsageError& e) {
    throw base::UsageError(fmt::format("--grace: {}", e.what()));
  }
  setenv(launch::grace_variable, text->c_str(), 1);
}

}  // namespace

int tell(ExitCode code, std::string_view what) {
  std::fflush(stdout);
  if (!launch::tell_reason(what)) {
    const std::string line = fmt::format("echelon: {}\n", what);
    std::fwrite(line.data(), 1, line.size(), stderr);
  }
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

void start_ranks(int& argc, char**& argv) {
  const comm::Placement place = comm::placement();
  try {
    const auto ranks = take_ranks(argc, argv);
    if (ranks) take_grace(argc, argv);
    (void)grace_s();  // refuses what it cannot understand
    if (!ranks) {
      if (place.rank != 0) launch::leave_all_stopping_to_rank_0();
      return;
    }
    if (place.launched) {
      throw base::UsageError("-n: a launcher has already started the ranks; leave -n out, or leave the launcher out" +
                             launch::way_out_of_step());
    }
    launch::LaunchRequest request{.ranks = *ranks,
                                  .threads = 1,
                                  .outlives_ranks = true,
                                  .stops_by_itself = true,
                                  .program = {launch::this_executable()}};
    request.program.insert(request.program.end(), argv + 1, argv + argc);
    end_without_body(launch::launch(request));
  } catch (const base::UsageError& e) {
    end_without_body(place.rank == 0 ? tell(ExitCode::usage, e.what()) : 0);
  } catch (const std::exception& e) {
    end_without_body(tell(ExitCode::broken, e.what()));
  }
}

void end_without_body(int status) {
  for (std::ostream* stream : {&std::cout, &std::cerr, &std::clog}) stream->flush();
  std::fflush(nullptr);
  _exit(status);
}

}  // namespace echelon::app
