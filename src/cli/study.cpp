#include <algorithm>
#include <array>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include <fmt/format.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/base/number.hpp>
#include <echelon/comm/session.hpp>
#include <echelon/launch/launcher.hpp>
#include <echelon/measure/machine.hpp>
#include <echelon/report/json.hpp>
#include <echelon/report/output_file.hpp>
#include <echelon/study/conduct.hpp>

#include "app.hpp"
#include "study_messages.hpp"

namespace echelon::cli {
namespace {

namespace fs = std::filesystem;
using base::ExitCode;
using base::UsageError;
using study::Plan;
using study::Schedule;

struct StudyCommand {
  std::string plan_file;
  std::string out;
  bool resume = false;
  bool dry_run = false;
  bool quiet = false;
  std::optional<double> guess_s;
  /// What the options change of the plan that is there before them.
  std::vector<std::function<void(Plan&)>> changes;
  bool says_repeat = false;
  bool says_precision = false;
  bool says_max_repeat = false;
  std::vector<std::string> words;
  Plan plan;  // once settled
};

/// CLI11 does not know of the words behind the options.
class StudyHelp : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* /*app*/, std::string /*name*/) const override {
    return "Usage: echelon study [OPTIONS] -- COMMAND...\n";
  }
};

std::string default_folder() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "study-%Y%m%d-%H%M%S", &local);
  return text.data();
}

Plan read_plan_file(const std::string& path) {
  std::ifstream file{path};
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    throw UsageError(fmt::format("--plan: cannot read '{}'; give a JSON file such as a study's plan.json", path));
  }
  try {
    return study::plan_from_json(text.str());
  } catch (const std::exception& e) {
    throw UsageError(fmt::format("--plan: '{}' is not a plan: {}", path, e.what()));
  }
}

/// What runs are started in.
void check_folder(const Plan& plan) {
  std::error_code ignored;
  if (fs::is_directory(plan.folder, ignored)) return;
  throw UsageError(fmt::format(
      "the folder '{}', in which the plan starts runs, is not there; make it, or change it in the plan", plan.folder));
}

enum class Found { nothing, something, program };

Found look_at(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return Found::nothing;
  return fs::is_regular_file(path, ignored) && access(path.c_str(), X_OK) == 0 ? Found::program : Found::something;
}

/// A program that cannot be found would fail at every point, and twice.
void check_program(const Plan& plan) {
  if (study::is_own_workload(plan) || plan.launcher.find("{command}") != std::string::npos) return;
  const std::string& program = plan.command.front();
  if (program.find('{') != std::string::npos) return;
  Found found = Found::nothing;
  if (program.find('/') != std::string::npos) {
    found = look_at(fs::path{plan.folder} / program);
  } else {
    std::istringstream folders{measure::environment("PATH").value_or("")};
    for (std::string folder; found != Found::program && std::getline(folders, folder, ':');) {
      found = std::max(found, look_at((folder.empty() ? fs::path{"."} : fs::path{folder}) / program));
    }
  }
  if (found == Found::something) {
    throw UsageError(
        fmt::format("COMMAND: '{}' is not executable; give a program (chmod +x makes a script one)", program));
  }
  if (found == Found::nothing) {
    throw UsageError(fmt::format(
        "COMMAND: there is no program '{}'; give one, or a workload: pi, fill, queue, counter, log, map", program));
  }
}

void settle(StudyCommand& command) {
  if (comm::placement().launched) {
    throw UsageError("study: a launcher has started this; leave it out, a study starts its own ranks" +
                     launch::way_out_of_step());
  }
  launch::let_srun_start_all();
  if (command.says_repeat && (command.says_precision || command.says_max_repeat)) {
    throw UsageError(
        "--repeat: --precision repeats as often as it must; give one of them, with --max-repeat for the most");
  }
  const bool goes_on = command.resume && study::Store::has_study(command.out);
  if (command.resume && command.out.empty()) throw UsageError("--resume: give the folder of the study with --out");
  if (command.resume && !goes_on && command.words.empty() && command.plan_file.empty()) {
    (void)study::Store::read_plan(command.out);  // says what is wrong
  }
  Plan plan;
  plan.folder = fs::current_path().string();
  if (goes_on) plan = study::Store::read_plan(command.out);
  if (!command.plan_file.empty()) {
    const std::string folder = plan.folder;
    plan = read_plan_file(command.plan_file);
    if (plan.folder.empty() || goes_on) plan.folder = folder;
  }
  for (const auto& change : command.changes) change(plan);
  if (!command.words.empty()) plan.command = command.words;
  if (command.says_max_repeat && !plan.precision) {
    throw UsageError("--max-repeat: it is for --precision; give that too, or --repeat instead");
  }
  study::check(plan);
  check_folder(plan);
  check_program(plan);
  command.plan = std::move(plan);
  if (command.out.empty()) command.out = default_folder();
}

void check(const StudyCommand& command) {
  if (command.dry_run || command.resume || !study::Store::has_study(command.out)) return;
  throw UsageError(
      fmt::format("--out: '{}' has a study already; go on with it by --resume, or give another folder", command.out));
}

study::Machine this_machine() {
  return {.echelon = launch::this_executable(),
          .in_slurm = measure::environment("SLURM_JOB_ID").has_value(),
          .is_root = geteuid() == 0,
          .start = [](const launch::Launcher& launcher, const study::Point& point,
                      const std::vector<std::string>& variables, const std::vector<std::string>& program) {
            return launch::start_command_here(launcher, point.ranks, point.threads, variables, program);
          }};
}

/// As if every run took the same time: with a precision, the fewest runs.
ExitCode print_commands(const StudyCommand& command) {
  const study::Machine machine = this_machine();
  Schedule schedule{command.plan};
  std::string text = "# " + study_estimate(schedule, command.guess_s) + "\n";
  text += fmt::format("# in {}\n", command.plan.folder);
  std::uint64_t block = 0;
  bool warmup = false;
  // The budget is for real runs: these take no time.
  while (const auto task = schedule.next()) {
    if (task->block != block || task->warmup != warmup) {
      text += fmt::format("# {} {}\n", task->warmup ? "warm-ups, block" : "block", task->block);
    }
    block = task->block;
    warmup = task->warmup;
    const std::string record = study::record_file(command.out);
    text +=
        study::shell_text(study::command_line(command.plan, schedule.points()[task->point], record, machine)) + "\n";
    schedule.finish({.succeeded = true, .time_s = 1});
  }
  if (command.plan.precision) {
    text += fmt::format("# more blocks, up to {}, of points that are not within {:.3g} % by then\n",
                        command.plan.max_repeat, 100 * *command.plan.precision);
  }
  report::write_output("-", text);
  return ExitCode::done;
}

ExitCode run(const StudyCommand& command) {
  study::StopSignals signals;
  const bool goes_on = command.resume && study::Store::has_study(command.out);
  study::Store store = goes_on ? study::Store::resume(command.out, command.plan, report::from_json)
                               : study::Store::create(command.out, command.plan);
  for (const std::string& note : store.notes()) tell("note: " + note);
  const std::size_t runs_before = store.runs().size();
  StudyWatcher watcher{command.guess_s, command.quiet};
  const study::World world{
      .machine = this_machine(),
      .launch =
          [&](const study::CommandLine& line, const study::Store::Places& places, std::optional<double> most_s) {
            return study::run_process(line, places.out, places.err, most_s, signals, [&] { watcher.tick(); });
          },
      .stop_asked = [&] { return signals.asked(); },
      .utc_now = measure::utc_now,
      .host = measure::host_name(),
      .cpus_allowed = measure::usable_cpus(),
      .nodes = [](const study::Point& point) { return launch::nodes_for(point.ranks, point.threads); },
      .allocation = measure::slurm_nodes(),
      .read_record = report::from_json,
      .progress = [&](const Schedule& schedule) { watcher.update(schedule); },
      .failed = [&](const study::Run& ended, bool given_up) { watcher.tell_failure(ended, given_up); },
  };
  const study::Conclusion conclusion = [&] {
    try {
      return study::conduct(command.plan, store, world);
    } catch (const UsageError&) {
      throw;
    } catch (const std::exception& e) {
      throw std::runtime_error(fmt::format("{}; the runs that have ended are kept, and --resume goes on", e.what()));
    }
  }();
  watcher.clear();
  if (conclusion.stopped) {
    tell_study_stopped(store.runs(), command.out);
    return ExitCode::resumable;
  }
  return conclude_study(command.plan, store.runs(), runs_before, conclusion, command.out, command.quiet);
}

ExitCode run_or_refuse(const StudyCommand& command) {
  try {
    return run(command);
  } catch (const UsageError& e) {
    tell(e.what());
    return ExitCode::usage;
  }
}

}  // namespace

void add_study(CLI::App& program, Command& chosen) {
  auto command = std::make_shared<StudyCommand>();
  CLI::App& app =
      *program.add_subcommand("study", "Measure how a workload, or any program, scales over ranks and threads");
  app.formatter(std::make_shared<StudyHelp>());
  app.footer(
      "COMMAND is one of Echelon's workloads (pi, fill, queue, counter, log, map) with its options, or any program. Of "
      "a\n"
      "workload the study has its own time and each rank's; of a program the time from launch to exit, unless it "
      "writes\n"
      "a record to the file that ECHELON_RECORD names. {ranks} and {threads} in COMMAND are replaced, with --weak {} "
      "too;\n"
      "OMP_NUM_THREADS is set. The FUNCTION of --weak has p, ranks and threads, + - * / ^ and ( ), sqrt, log2, min, "
      "max "
      "...;\n"
      "rint makes it whole, as Echelon's workloads want it: 'rint(1e8*sqrt(p))'.\n\n"
      "LIST is numbers and ranges: 1,2,4,8 or 1-4 or 1..64:x2 or 12..48:+12. Every number of ranks is run with every\n"
      "number of threads. Runs come in blocks: in each, every point has one run, in random order; so what changes on "
      "the\n"
      "machine meanwhile spreads over all points. Warm-ups come first. A run that fails is kept with its error and\n"
      "repeated once; a point that fails twice in a row is given up.\n\n"
      "Programs are started with mpirun as echelon -n does, within SLURM with srun --mpi=pmix, or by a TEMPLATE such "
      "as\n"
      "'mpiexec -n {ranks} -ppn 4 {command}'.\n\n"
      "DIR keeps plan.json, runs/NNNN.json (each on the disk before the next run begins) and output/. INT, TERM and\n"
      "USR1 stop a study, and the exit status is 75; whatever stopped it, --resume goes on, and begins where there is\n"
      "nothing yet. It takes another --budget, for all runs from the first on (a smaller one ends the study earlier),\n"
      "and a larger --repeat or --max-repeat. A plan file has the members of plan.json, all of which may be left out.\n"
      "Exit status: 0 every point has its runs, 2 usage, 3 some points failed or have none, 4 broken or no run "
      "succeeded,\n"
      "75 stopped.\n\n"
      "Examples:\n"
      "  echelon study --ranks 1,2,4,8 -- pi --points 1e10\n"
      "  echelon study --ranks 1..64:x2 --precision 2% --budget 30m --out pi-study -- pi --points 1e11\n"
      "  echelon study --resume --out pi-study\n"
      "  echelon study --ranks 1-4 --weak '1e9*p' -- pi --points {}\n"
      "  echelon study --ranks 1,2 --threads 1,2,4 --repeat 20 -- ./my_mpi_program --size 4096\n"
      "  echelon study --ranks 1,2,4 --dry-run -- ./my_mpi_program");

  constexpr std::uint64_t most = 1'000'000;
  const auto add_text = [&](const char* name, const char* type, const char* description, auto parse) {
    const auto take = [command, name, parse](const std::string& text) {
      try {
        parse(*command, text);
      } catch (const UsageError& e) {
        throw CLI::ValidationError(name, e.what());
      }
    };
    app.add_option_function<std::string>(name, take, description)->type_name(type);
  };
  const auto add_plan_text = [&](const char* name, const char* type, const char* description, auto set) {
    add_text(name, type, description, [set](StudyCommand& c, const std::string& text) {
      Plan probe;
      set(probe, text);  // what is wrong with it is said at once
      c.changes.push_back([set, text](Plan& plan) { set(plan, text); });
    });
  };
  const auto add_plan_count = [&](const char* name, const char* description, std::uint64_t min, auto set) {
    add_count(
        app, name,
        [command, set](std::uint64_t n) { command->changes.push_back([set, n](Plan& plan) { set(plan, n); }); },
        description, min, most);
  };
  add_plan_text("--ranks", "LIST", "Numbers of ranks [1]",
                [](Plan& plan, const std::string& text) { plan.ranks = study::parse_counts(text, most); });
  add_plan_text("--threads", "LIST", "Numbers of threads a rank [1]",
                [](Plan& plan, const std::string& text) { plan.threads = study::parse_counts(text, most); });
  add_plan_count("--repeat", "Runs of each point [10]", 1, [](Plan& plan, std::uint64_t n) {
    plan.repeat = n;
    plan.precision.reset();
  });
  add_plan_text("--precision", "P%", "Repeat until the median's 95 % interval is within P % on either side",
                [](Plan& plan, const std::string& text) { plan.precision = base::parse_percent(text) / 100; });
  add_plan_count("--max-repeat", "The most runs of a point, with --precision [100]", 1,
                 [](Plan& plan, std::uint64_t n) { plan.max_repeat = n; });
  add_plan_text("--budget", "TIME", "The most that all runs may take together (90, 30m, 2h); then no run goes on",
                [](Plan& plan, const std::string& text) { plan.budget_s = base::parse_seconds(text); });
  add_plan_count("--warmup", "Runs of each point that come first and do not count [1]", 0,
                 [](Plan& plan, std::uint64_t n) { plan.warmup = n; });
  add_plan_text("--weak", "FUNCTION", "Weak scaling: the work by p = ranks * threads, as in '1e8*p'; put where {} is",
                [](Plan& plan, const std::string& text) {
                  if (text.empty()) throw UsageError("it is empty; give a function of p, as in '1e8*p'");
                  plan.weak = text;
                });
  add_plan_count("--baseline", "Ranks that speedup is against [the smallest point]", 1,
                 [](Plan& plan, std::uint64_t n) { plan.baseline = n; });
  add_plan_text("--launcher", "auto|mpirun|srun|TEMPLATE", "What starts ranks [auto]",
                [](Plan& plan, const std::string& text) { plan.launcher = text; });
  add_plan_count("--seed", "Of the order of runs [1]", 0, [](Plan& plan, std::uint64_t n) { plan.seed = n; });
  add_text("--guess", "TIME", "What a run takes at the smallest point, for the estimate before the first",
           [](StudyCommand& c, const std::string& text) { c.guess_s = base::parse_seconds(text); });
  app.add_option("--plan", command->plan_file, "Read the plan from FILE; options change it")->type_name("FILE");
  app.add_option("--out", command->out, "Keep everything in DIR [study-DATE-TIME]")->type_name("DIR");
  app.add_flag("--resume", command->resume, "Go on with the study in DIR");
  app.add_flag("--dry-run", command->dry_run, "Print the commands in their order and what they cost, run none");
  app.add_flag("--quiet", command->quiet, "Print nothing but DIR and what went wrong");
  app.callback([command, &chosen, &app] {
    command->words = chosen.words;
    command->says_repeat = app.count("--repeat") > 0;
    command->says_precision = app.count("--precision") > 0;
    command->says_max_repeat = app.count("--max-repeat") > 0;
    settle(*command);
    chosen.check = [command] { check(*command); };
    chosen.check_ranks = [](std::uint64_t ranks) {
      if (ranks != 1)
        throw UsageError("-n: a study starts its own ranks; give their numbers with --ranks, as in --ranks 1,2,4");
    };
    chosen.run_here = [command] { return command->dry_run ? print_commands(*command) : run_or_refuse(*command); };
  });
}

}  // namespace echelon::cli
