#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/base/number.hpp>
#include <echelon/base/version.hpp>
#include <echelon/comm/collectives.hpp>
#include <echelon/comm/roster.hpp>
#include <echelon/launch/launcher.hpp>
#include <echelon/launch/rank_report.hpp>
#include <echelon/measure/machine.hpp>

#include "app.hpp"
#include "loss_watch.hpp"

namespace echelon::cli {
namespace {

using base::ExitCode;

int complain(const std::string& what) {
  tell(what);
  return static_cast<int>(ExitCode::usage);
}

/// Libraries that give up call exit(1): MPI where it cannot start, OpenMP where it gets no threads. From 1 one would
/// conclude that the answer is wrong, so while ranks run, leaving that way ends in ExitCode::broken.
class ExitGuard {
 public:
  ExitGuard() {
    armed = true;
    std::atexit([] {
      if (!armed) return;
      tell("a library ended the program, for the reason that it gives above");
      tell_outcome(static_cast<int>(ExitCode::broken));
      _exit(static_cast<int>(ExitCode::broken));
    });
  }
  ~ExitGuard() { disarm(); }
  static void disarm() { armed = false; }
  ExitGuard(const ExitGuard&) = delete;
  ExitGuard& operator=(const ExitGuard&) = delete;

 private:
  static inline bool armed = false;
};

/// A descriptor below 3 that is closed would be given to the next file or pipe that is opened, and printed into.
void fill_standard_descriptors() {
  for (int descriptor = 0; descriptor < 3; ++descriptor) {
    // Opened the wrong way round, so that what goes to a closed standard output still fails.
    if (fcntl(descriptor, F_GETFD) < 0) (void)open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY);
  }
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
  const bool about_ranks = std::string_view{error.what()}.starts_with("--ranks") && !chosen.empty() &&
                           chosen.front()->get_option_no_throw("--ranks") == nullptr;
  const std::string help =
      chosen.empty() || about_ranks ? "echelon --help" : "echelon " + chosen.front()->get_name() + " --help";
  return fmt::format("{}; see {}", error.what(), help);
}

/// Where the words begin that follow the options of `map` or `study`: the command that it runs, whose own options are
/// not ours.
/// The size where there are none.
std::size_t words_begin(CLI::App& program, const std::vector<std::string>& arguments) {
  const auto takes_value = [](const CLI::App& app, const std::string& name) {
    const CLI::Option* const option = app.get_option_no_throw(name);
    return option != nullptr && option->get_items_expected_max() > 0;
  };
  const CLI::App* app = &program;
  for (std::size_t at = 0; at < arguments.size(); ++at) {
    const std::string& argument = arguments[at];
    const bool is_option = argument.size() > 1 && argument.front() == '-';
    if (!is_option && app == &program) {
      if (argument != "map" && argument != "study") return arguments.size();
      app = program.get_subcommand(argument);
    } else if (!is_option) {
      return at;
    } else if (argument == "--") {
      return at + 1;
    } else if (argument.find('=') == std::string::npos) {
      // Of short ones in one word only the last can take its value from the next.
      const std::string name = argument.starts_with("--") ? argument : std::string{"-"} + argument.back();
      const bool is_attached =
          !argument.starts_with("--") && argument.size() > 2 &&
          (takes_value(*app, argument.substr(0, 2)) || takes_value(program, argument.substr(0, 2)));
      if (!is_attached && (takes_value(*app, name) || takes_value(program, name))) ++at;
    }
  }
  return arguments.size();
}

int run_on_ranks(const Command& command, int argc, char** argv, workloads::Account& account) {
  const std::vector<std::string> arguments(argv, argv + argc);
  const ExitGuard guard;
  std::optional<comm::Session> session;
  try {
    command.before_mpi();
    launch::tell_begun(comm::placement().rank);
    comm::set_abort_word(launch::tell_abort);
    session.emplace(argc, argv);
    launch::print_past_launcher();
  } catch (const std::exception& e) {
    tell(e.what());
    return static_cast<int>(ExitCode::broken);
  }
  // The session outlives the try block: what is caught here can still end the other ranks.
  try {
    // Only the master writes files, so only it can say whether that will do; the others leave with it.
    bool go_on = true;
    // A rank that dies ends the job, but its launcher does not miss one that went with its node. Who outlives ranks
    // watches over them himself.
    std::optional<LossWatch> watch;
    if (!command.runs_commands && comm::spans_nodes()) watch.emplace(*session);
    if (session->is_master()) {
      if (!command.runs_commands) launch::tell_started();  // who outlives ranks has more to do before he sees who dies
      try {
        command.check();
        command.check_ranks(static_cast<std::uint64_t>(session->size()));
      } catch (const base::UsageError& e) {
        complain(e.what());
        go_on = false;
      }
    }
    const bool is_master = session->is_master();
    if (!comm::broadcast(*session, go_on)) return is_master ? static_cast<int>(ExitCode::usage) : 0;
    return static_cast<int>(command.run_on_ranks({*session, account, arguments}));
  } catch (const comm::RankLost& e) {
    ExitGuard::disarm();
    leave_lost(*session, e);
  } catch (const std::exception& e) {
    ExitGuard::disarm();  // says why itself
    tell_outcome(static_cast<int>(ExitCode::broken));
    session->abort(ExitCode::broken, e.what());
  }
}

/// One of several tasks that srun has started without what MPI needs: each would be a run of its own.
struct LoneTask {
  std::uint64_t tasks = 1;
  bool is_first = true;
};

/// Nothing where this process is none.
std::optional<LoneTask> lone_task(const comm::Placement& place) {
  const auto tasks = measure::environment("SLURM_STEP_NUM_TASKS");
  const auto number = measure::environment("SLURM_PROCID");
  if (place.launched || !tasks || !number || !measure::environment("SLURM_STEP_ID")) return std::nullopt;
  const std::uint64_t count = std::strtoull(tasks->c_str(), nullptr, 10);
  return count > 1 ? std::optional{LoneTask{count, *number == "0"}} : std::nullopt;
}

int run(int argc, char** argv, workloads::Account& account) {
  CLI::App program{"Echelon measures how a program scales over MPI ranks, and runs commands on them."};
  program.name("echelon");
  program.footer(
      "Under mpirun or srun the program is one rank; without, -n starts the ranks, and no -n is one rank.\n"
      "What starts them is mpirun; within a SLURM job srun, where that has PMIx, but for map, which goes on when "
      "ranks\n"
      "are lost. A TEMPLATE is another launcher's command, such as 'mpiexec -n {ranks} {command}'.\n"
      "Numbers may be written 1e9 or 1_000_000_000.\n"
      "Exit status: 0 done, 1 wrong answer, 2 usage, 3 some tasks failed, 4 broken, 75 stopped early.");
  program.set_version_flag("--version", version_text());
  program.require_subcommand(0, 1);
  program.fallthrough();
  std::optional<std::uint64_t> ranks;
  bool all_ranks = false;
  launch::Launcher launcher;
  const auto take_ranks = [&](const std::string& text) {
    constexpr std::uint64_t max_ranks = 1'000'000;
    all_ranks = text == "all";
    try {
      ranks = all_ranks ? 1 : base::parse_count(text, 1, max_ranks);
    } catch (const base::UsageError& e) {
      throw CLI::ValidationError("-n,--ranks", e.what());
    }
  };
  program
      .add_option_function<std::string>(
          "-n,--ranks", take_ranks, "Start so many ranks; all: as many as the SLURM job, or this machine, has room for")
      ->type_name("N|all");
  program
      .add_option_function<std::string>(
          "--launcher", [&](const std::string& text) { launcher = launch::parse_launcher(text); },
          "What starts them [auto]")
      ->type_name("auto|mpirun|srun|TEMPLATE");
  Command command;
  add_pi(program, command);
  add_fill(program, command);
  add_queue(program, command);
  add_counter(program, command);
  add_log(program, command);
  add_map(program, command);
  add_journal(program, command);
  add_study(program, command);
  add_report(program, command);
  add_compare(program, command);
  add_info(program, command);

  const comm::Placement place = comm::placement();
  const bool started_by_echelon = std::getenv(launch::launched_variable) != nullptr && place.launched;
  // One line whatever the rank count: rank 0 speaks and returns the status, the others leave it at that.
  using Kind = launch::Launcher::Kind;
  const std::optional<LoneTask> lone = lone_task(place);
  const bool silent = place.rank != 0 || (lone && !lone->is_first);
  try {
    std::vector<std::string> arguments(argv + 1, argv + argc);
    const std::size_t words = words_begin(program, arguments);
    command.words.assign(arguments.begin() + static_cast<std::ptrdiff_t>(words), arguments.end());
    arguments.resize(words);
    if (!arguments.empty() && !command.words.empty() && arguments.back() == "--") arguments.pop_back();
    std::ranges::reverse(arguments);  // as CLI11 takes them
    program.parse(arguments);
    if (program.get_subcommands().empty()) {
      if (!silent) std::fputs(program.help().c_str(), stderr);
      return silent ? 0 : static_cast<int>(ExitCode::usage);
    }
    if (ranks && place.launched && !started_by_echelon) {
      throw base::UsageError("-n: a launcher has already started the ranks; leave -n out, or leave the launcher out" +
                             launch::way_out_of_step());
    }
    if (!place.launched) {  // before anything is started
      if (all_ranks) ranks = launch::ranks_for_all(command.threads);
      if (command.runs_commands && launcher.kind != Kind::automatic && launcher.kind != Kind::mpirun) {
        throw base::UsageError(
            "--launcher: map goes on when ranks are lost, which only mpirun lets it; leave --launcher out");
      }
      command.check();
      command.check_ranks(ranks.value_or(1));
    }
    if (command.run_on_ranks && lone) {
      throw base::UsageError(
          fmt::format("srun has started {} tasks that do not know of each other; give srun --mpi=pmix, or, where srun "
                      "--mpi=list has no pmix, leave srun out and start them with echelon -n {} --launcher mpirun",
                      lone->tasks, lone->tasks));
    }
    if (command.run_here) return place.rank == 0 ? static_cast<int>(command.run_here()) : 0;
  } catch (const CLI::ParseError& e) {
    if (silent) return 0;
    return e.get_exit_code() == 0 ? program.exit(e) : complain(parse_complaint(program, e));
  } catch (const base::UsageError& e) {
    return silent ? 0 : complain(e.what());
  }
  if (!place.launched && !ranks && command.ranks > 1) ranks = command.ranks;
  if (const auto job = measure::slurm_allocation();
      job && !ranks && !place.launched && !command.is_about_this_process && job->tasks.value_or(1) > 1) {
    tell(fmt::format("note: this is one rank, of a SLURM job of {} tasks; -n all starts as many", *job->tasks));
  }
  if (ranks && !place.launched) {
    if (isatty(STDERR_FILENO) != 0) setenv("ECHELON_TERMINAL", "1", 1);
    std::vector<std::string> self{launch::this_executable()};
    self.insert(self.end(), argv + 1, argv + argc);
    std::vector<launch::GivenFile> files;
    try {
      files = command.files();
    } catch (const base::UsageError& e) {
      return complain(e.what());
    }
    return launch::launch({.ranks = *ranks,
                           .threads = command.threads,
                           .outlives_ranks = command.runs_commands,
                           .reads_input = command.reads_input,
                           .stops_by_itself = command.runs_commands,
                           .stops_without_reader = command.runs_commands,
                           .launcher = launcher,
                           .bind = !command.runs_commands,
                           .program = self,
                           .files = files,
                           .if_lost = command.if_lost});
  }
  return run_on_ranks(command, argc, argv, account);
}

int run_and_tell(int argc, char** argv) {
  fill_standard_descriptors();
  workloads::Account account;  // the clock of this rank starts here
  int code = static_cast<int>(ExitCode::broken);
  try {
    code = run(argc, argv, account);
  } catch (const std::exception& e) {
    tell(e.what());
  }
  tell_outcome(code);
  return code;
}

}  // namespace
}  // namespace echelon::cli

int main(int argc, char** argv) { return echelon::cli::run_and_tell(argc, argv); }
