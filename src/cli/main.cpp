#include <algorithm>
#include <cstdio>
#include <optional>

#include <fmt/format.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/base/version.hpp>
#include <echelon/comm/collectives.hpp>
#include <echelon/study/launcher.hpp>

#include "app.hpp"

namespace echelon::cli {
namespace {

using base::ExitCode;

int complain(const std::string& what) {
  std::string line = what;
  std::ranges::replace(line, '\n', ' ');
  fmt::print(stderr, "echelon: {}\n", line);
  return static_cast<int>(ExitCode::usage);
}

std::string version_text() {
  const base::Build& build = base::build();
  return fmt::format("echelon {} ({}{}, {}, {})", build.version, build.commit, build.dirty ? ", changed" : "",
                     build.type, build.compiler);
}

/// What CLI11 complains about, with the way out where its text has none.
std::string parse_complaint(CLI::App& program, const CLI::ParseError& error) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ValidationError)) return error.what();
  const auto chosen = program.get_subcommands();
  if (chosen.empty() && !program.remaining().empty() && !program.remaining().front().starts_with('-')) {
    std::string commands;
    for (const CLI::App* command : program.get_subcommands([](const CLI::App*) { return true; })) {
      commands += (commands.empty() ? "" : ", ") + command->get_name();
    }
    return fmt::format("'{}' is not a command; give one of {}; see echelon --help", program.remaining().front(),
                       commands);
  }
  const std::string help = chosen.empty() ? "echelon --help" : "echelon " + chosen.front()->get_name() + " --help";
  return fmt::format("{}; see {}", error.what(), help);
}

int run_on_ranks(const Command& command, int argc, char** argv, workloads::Account& account) {
  const std::vector<std::string> arguments(argv, argv + argc);
  std::optional<comm::Session> session;
  try {
    session.emplace(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "echelon: {}\n", e.what());
    return static_cast<int>(ExitCode::broken);
  }
  // The session outlives the try block: what is caught here can still end the other ranks.
  try {
    // Only the master writes files, so only it can say whether that will do; the others leave with it.
    bool go_on = true;
    if (session->is_master()) {
      try {
        command.check();
      } catch (const base::UsageError& e) {
        complain(e.what());
        go_on = false;
      }
    }
    const bool is_master = session->is_master();
    if (!comm::broadcast(*session, go_on)) return is_master ? static_cast<int>(ExitCode::usage) : 0;
    return static_cast<int>(command.run_on_ranks({*session, account, arguments}));
  } catch (const std::exception& e) {
    session->abort(ExitCode::broken, e.what());
  }
}

int run(int argc, char** argv, workloads::Account& account) {
  CLI::App program{"Echelon measures how a program scales over MPI ranks."};
  program.name("echelon");
  program.footer(
      "Under mpirun or srun the program is one rank; without, -n starts the ranks, and no -n is one rank.\n"
      "Numbers may be written 1e9 or 1_000_000_000.\n"
      "Exit status: 0 done, 1 wrong answer, 2 usage, 3 tasks failed, 4 broken, 75 stopped early and resumable.");
  program.set_version_flag("--version", version_text());
  program.require_subcommand(0, 1);
  program.fallthrough();
  std::optional<std::uint64_t> ranks;
  constexpr std::uint64_t max_ranks = 1'000'000;
  add_count(
      program, "-n,--ranks", [&](std::uint64_t n) { ranks = n; }, "Start so many ranks with mpirun", 1, max_ranks);
  Command command;
  add_pi(program, command);
  add_report(program, command);
  add_info(program, command);

  const comm::Placement place = comm::placement();
  const bool started_by_echelon = std::getenv("ECHELON_LAUNCHED") != nullptr && place.launched;
  // One line whatever the rank count: rank 0 speaks and returns the status, the others leave it at that.
  const bool silent = place.rank != 0;
  try {
    program.parse(argc, argv);
    if (program.get_subcommands().empty()) {
      if (!silent) fmt::print(stderr, "{}", program.help());
      return silent ? 0 : static_cast<int>(ExitCode::usage);
    }
    if (ranks && place.launched && !started_by_echelon) {
      throw base::UsageError("-n: a launcher has already started the ranks; leave -n out, or leave the launcher out");
    }
    if (!place.launched) command.check();  // before anything is started
    if (command.run_here) return place.rank == 0 ? static_cast<int>(command.run_here()) : 0;
  } catch (const CLI::ParseError& e) {
    if (silent) return 0;
    return e.get_exit_code() == 0 ? program.exit(e) : complain(parse_complaint(program, e));
  } catch (const base::UsageError& e) {
    return silent ? 0 : complain(e.what());
  }
  if (ranks && !place.launched) {
    if (isatty(STDERR_FILENO) != 0) setenv("ECHELON_TERMINAL", "1", 1);
    std::vector<std::string> self{"/proc/self/exe"};
    std::array<char, 4096> path{};
    if (const ssize_t size = readlink("/proc/self/exe", path.data(), path.size() - 1); size > 0) self[0] = path.data();
    self.insert(self.end(), argv + 1, argv + argc);
    return study::launch(*ranks, command.threads, self);
  }
  return run_on_ranks(command, argc, argv, account);
}

}  // namespace
}  // namespace echelon::cli

int main(int argc, char** argv) {
  echelon::workloads::Account account;  // the clock of this rank starts here
  try {
    return echelon::cli::run(argc, argv, account);
  } catch (const std::exception& e) {
    fmt::print(stderr, "echelon: {}\n", e.what());
    return static_cast<int>(echelon::base::ExitCode::broken);
  }
}
