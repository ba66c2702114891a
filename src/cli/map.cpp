#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/base/number.hpp>
#include <echelon/command/environment.hpp>
#include <echelon/command/template.hpp>
#include <echelon/launch/rank_report.hpp>
#include <echelon/launch/starter.hpp>
#include <echelon/map/run.hpp>
#include <echelon/measure/machine.hpp>
#include <echelon/report/output_file.hpp>
#include <echelon/report/progress.hpp>
#include <echelon/report/table.hpp>

#include "allocation.hpp"
#include "app.hpp"
#include "given_file.hpp"

namespace echelon::cli {
namespace {

namespace fs = std::filesystem;
using base::ExitCode;
using base::UsageError;

struct MapCommand {
  map::Options options;
  std::vector<std::string> files;  // --arg-file
  std::uint64_t jobs = 0;          // 0: as many as CPUs may be used
  std::string timeout;
  std::string halt;
  std::string delay;
  std::string grace;
  std::string time_request;
  bool null = false;
  bool resume = false;
  bool resume_failed = false;
  bool bar = false;
  bool dry_run = false;
  OutputOptions output;
  std::unique_ptr<command::Helper> helper;
};

/// CLI11 does not know of the words behind the options.
class MapHelp : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* /*app*/, std::string /*name*/) const override {
    return "Usage: echelon [-n RANKS] map [OPTIONS] [COMMAND...] [::: ARGUMENT...]\n";
  }
};

command::FileSource file_source(const std::string& path) { return {names_standard_input(path) ? "-" : path}; }

/// The words after map's own options: the command, and its arguments after ::: (as they are) or :::: (in files).
void take_words(MapCommand& map, const std::vector<std::string>& words) {
  std::size_t at = 0;
  const auto is_mark = [](const std::string& word) { return word.starts_with(":::"); };
  for (; at < words.size() && !is_mark(words[at]); ++at) {
    map.options.command += (map.options.command.empty() ? "" : " ") + words[at];
  }
  while (at < words.size()) {
    const std::string& mark = words[at++];
    if (mark != ":::" && mark != "::::") {
      throw UsageError(fmt::format("'{}' is not known; give arguments after :::, or files of them after ::::", mark));
    }
    command::ListSource values;
    for (; at < words.size() && !is_mark(words[at]); ++at) {
      if (mark == ":::") {
        values.values.push_back(words[at]);
      } else {
        map.options.sources.push_back(file_source(words[at]));
      }
    }
    if (mark == ":::") map.options.sources.push_back(std::move(values));
  }
}

double parse_seconds(const std::string& option, const std::string& text) {
  try {
    return base::parse_seconds(text);
  } catch (const UsageError& e) {
    throw UsageError(option + ": " + e.what());
  }
}

/// What the options say together, once all are known.
void settle(MapCommand& map, const std::vector<std::string>& words) {
  map::Options& options = map.options;
  for (const std::string& file : map.files) options.sources.push_back(file_source(file));
  take_words(map, words);
  if (options.sources.empty()) options.sources.push_back(command::FileSource{"-"});
  if (map.null) options.separator = '\0';
  if (map.resume_failed) {
    options.resume = map::Resume::failed;
  } else if (map.resume || options.by_content) {
    options.resume = map::Resume::unfinished;
  }
  if (!map.timeout.empty()) {
    if (map.timeout.ends_with('%')) {
      try {
        options.timeout_percent = base::parse_percent(map.timeout);
      } catch (const UsageError& e) {
        throw UsageError(std::string{"--timeout: "} + e.what());
      }
    } else {
      options.timeout_s = parse_seconds("--timeout", map.timeout);
      if (*options.timeout_s <= 0) throw UsageError("--timeout: give a time above 0, as in 30 or 2m");
    }
  }
  if (!map.halt.empty()) options.halt = farm::parse_halt(map.halt);
  if (!map.delay.empty()) options.delay = measure::Seconds{parse_seconds("--delay", map.delay)};
  if (!map.grace.empty()) options.grace = measure::Seconds{parse_seconds("--grace", map.grace)};
  if (!map.time_request.empty()) options.needs_s = parse_seconds("--time-request", map.time_request);
  // What is worth a log, or a file of output, is worth not being lost.
  if (options.journal.empty()) {
    for (const std::string& beside : {options.output, options.joblog}) {
      if (!options.journal.empty() || beside.empty() || !is_ordinary_file(beside)) continue;
      options.journal = beside + ".journal";
    }
  }
}

bool is_standard_input(const command::Source& source) {
  const auto* const file = std::get_if<command::FileSource>(&source);
  return file != nullptr && file->path == "-";
}

/// This is a rank that `echelon -n` has started.
bool is_launched() { return comm::placement().launched && measure::environment(launch::launched_variable); }

void check(const MapCommand& map) {
  if (is_launched()) return;  // who has started the ranks has looked, and has what they have not
  const map::Options& options = map.options;
  if (options.resume != map::Resume::no && options.journal.empty()) {
    throw UsageError("--resume: give --journal FILE, or the --output or --joblog that the first run had");
  }
  if (options.resume != map::Resume::no && options.force) {
    throw UsageError("--force: starts over, --resume goes on; give one of them");
  }
  const std::vector<std::pair<std::string, std::string>> files{{"--journal", options.journal},
                                                               {"--output", options.output},
                                                               {"--joblog", options.joblog},
                                                               {"--json", map.output.json},
                                                               {"--csv", map.output.csv}};
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto& [option, path] = files[i];
    if (path.empty()) continue;
    if (path == "-") {
      throw UsageError(option + ": standard output is for what the commands print; give a file name");
    }
    try {
      report::check_output(path);
    } catch (const UsageError& e) {
      throw UsageError(option + ": " + e.what());
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (files[j].second.empty() || !is_ordinary_file(path) || !names_same_file(path, files[j].second)) continue;
      throw UsageError(fmt::format("{}: '{}' is taken by {}; give a file of its own", option, path, files[j].first));
    }
  }
  if (std::ranges::count_if(options.sources, is_standard_input) > 1) {
    throw UsageError("standard input can be one input source only; give the other one as a file");
  }
  // Throws where a placeholder or a file is wrong; standard input is read by rank 0 alone.
  if (!options.command.empty()) command::Template{options.command, options.sources.size()};
  for (const command::Source& source : options.sources) {
    const auto* const file = std::get_if<command::FileSource>(&source);
    if (file == nullptr || file->path == "-") continue;
    if (fs::is_directory(file->path) || access(file->path.c_str(), R_OK) != 0) {
      throw UsageError(fmt::format("--arg-file: cannot read '{}'; give a file with an input a line", file->path));
    }
  }
  if (options.needs_s && !allocation_end()) {
    throw UsageError("--time-request: no end of an allocation is known (SLURM_JOB_ID is not set); leave it out");
  }
}

// What of the starter's own rank 0 needs has these names.
constexpr const char* output_name = "output";
constexpr const char* joblog_name = "joblog";
std::string input_name(std::size_t source) { return fmt::format("input {}", source); }

std::vector<launch::GivenFile> files_to_hand_over(const map::Options& options) {
  std::vector<launch::GivenFile> files;
  const auto add = [&](const std::string& name, const char* option, const std::string& path, int flags) {
    if (path.empty() || path == "-") return;
    try {
      if (const int descriptor = open_given_file(path, flags); descriptor >= 0) files.push_back({name, descriptor});
    } catch (const UsageError& e) {
      throw UsageError(fmt::format("{}: {}", option, e.what()));
    }
  };
  add(output_name, "--output", options.output, O_WRONLY);
  add(joblog_name, "--joblog", options.joblog, O_WRONLY | O_APPEND);
  for (std::size_t i = 0; i < options.sources.size(); ++i) {
    if (const auto* const file = std::get_if<command::FileSource>(&options.sources[i])) {
      add(input_name(i), "--arg-file", file->path, O_RDONLY);
    }
  }
  if (files.size() > launch::most_given_files) {
    throw UsageError(fmt::format("--arg-file: {} pipes and devices are more than {}; give files", files.size(),
                                 launch::most_given_files));
  }
  return files;
}

/// Of rank 0, which has what it was given, or without a starter what it opens itself. -1: an ordinary file.
int given_file(const launch::Starter& starter, const std::string& name, const std::string& path, int flags) {
  if (is_launched()) return starter.file(name);
  try {
    return path.empty() || path == "-" ? -1 : open_given_file(path, flags);
  } catch (const UsageError&) {  // is told by who uses it, when the other ranks can hear of it
    return -1;
  }
}

void use_given_files(map::Options& options, const launch::Starter& starter, map::Surroundings& surroundings) {
  surroundings.output_file = given_file(starter, output_name, options.output, O_WRONLY);
  surroundings.joblog_file = given_file(starter, joblog_name, options.joblog, O_WRONLY | O_APPEND);
  for (std::size_t i = 0; i < options.sources.size(); ++i) {
    const auto* const file = std::get_if<command::FileSource>(&options.sources[i]);
    if (file == nullptr) continue;
    if (file->path == "-") {
      options.sources[i] = command::DescriptorSource{starter.input(), "standard input"};
    } else if (const int descriptor = given_file(starter, input_name(i), file->path, O_RDONLY); descriptor >= 0) {
      options.sources[i] = command::DescriptorSource{descriptor, file->path};
    } else if (is_launched() && !starter.is_here() && !is_ordinary_file(file->path)) {
      options.sources[i] = command::DescriptorSource{
          -1,
          fmt::format("{} is on the node where this command was typed, and rank 0 is not; give a file", file->path)};
    }
  }
}

ExitCode print_commands(const MapCommand& map) {
  command::Inputs inputs{map.options.sources, map.options.separator};
  const command::Template line = map.options.command.empty()
                                     ? command::Template::whole_lines()
                                     : command::Template{map.options.command, map.options.sources.size()};
  std::uint64_t number = 0;
  while (const auto values = inputs.next()) {
    const std::string text = line.line(*values, ++number) + '\n';
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size())
      throw std::runtime_error("cannot write standard output");
  }
  return ExitCode::done;
}

/// What breaks a worker, as a command that kills the helper, is no reason to end the others' commands.
void serve(const MapCommand& map, const RankContext& ranks) {
  try {
    map::serve(ranks.session, ranks.account, *map.helper);
  } catch (const std::exception& e) {
    if (!comm::placement().outlives_ranks) throw;
    tell(fmt::format("rank {}: {}", ranks.session.rank(), e.what()));
    ranks.session.leave(ExitCode::broken);
  }
}

ExitCode run(MapCommand& map, const RankContext& ranks) {
  if (!ranks.session.is_master()) {
    serve(map, ranks);
    return ExitCode::done;
  }
  const bool shows = !map.output.quiet && (map.bar || has_terminal());
  launch::Starter starter;
  report::ProgressLine line{shows, starter.errors()};
  map::Surroundings surroundings{
      .output = starter.output(),
      .errors = starter.errors(),
      .started = launch::tell_started,
      .progress =
          [&](const map::Progress& p) {
            line.update(report::TaskProgress{p.ended, p.failed, p.total, p.ended_now});
          },
      .make_way = [&] { line.clear(); },
      .stops_asked = [&] { return static_cast<unsigned>(starter.stop_requests()); },
      .tell =
          [&](const std::string& text) {
            line.clear();
            tell(text);
          },
  };
  use_given_files(map.options, starter, surroundings);
  map.options.ends_at = map.options.needs_s ? allocation_end() : std::nullopt;
  try {
    const map::Result result =
        map::run(ranks.session, ranks.account, ranks.argv, map.options, *map.helper, surroundings);
    line.clear();
    map.output.write(result.record);
    if (!map.output.quiet) {
      const bool is_empty = measure::get<std::uint64_t>(result.record.result, "listed") == 0 &&
                            measure::get<std::string>(result.record.result, "stopped").empty();
      const std::string text =
          is_empty ? "the input is empty: no command was run\n" : report::map_summary(result.record);
      std::fwrite(text.data(), 1, text.size(), stderr);
    }
    return result.code;
  } catch (const UsageError& e) {
    line.clear();
    tell(e.what());
    return ExitCode::usage;
  }
}

}  // namespace

void add_map(CLI::App& program, Command& chosen) {
  auto map = std::make_shared<MapCommand>();
  map::Options& options = map->options;
  CLI::App& app = *program.add_subcommand("map", "Run shell commands as tasks over ranks, and lose none");
  app.formatter(std::make_shared<MapHelp>());
  app.footer(
      "COMMAND is run once for each line of the input: of standard input, of --arg-file FILE, of FILE after ::::, or "
      "for\n"
      "each ARGUMENT after :::; of several of these, for all combinations. Without COMMAND each line is a command.\n"
      "  {} the input    {.} without its extension    {/} its last part    {//} its folder    {/.} both of {/} and "
      "{.}\n"
      "  {1} {2} {1.} .. of that input, where there are several    {#} the task's number\n"
      "Without one of these the input is put at the end. Inputs are quoted: they are never taken for shell text.\n\n"
      "Options that GNU parallel has mean what they mean there. What a command prints is printed when it has ended, in "
      "one\n"
      "piece. Commands run with ECHELON_TASK, ECHELON_RANK, ECHELON_ATTEMPT and OMP_NUM_THREADS set, and without "
      "MPI's\n"
      "variables: a command may be an mpirun. What a command leaves behind is ended when it ends.\n"
      "A command whose output cannot be kept, as on a full disk, is ended and has failed; --resume runs it again.\n"
      "Much output waits in $TMPDIR or /tmp. FILE may be a pipe, a FIFO or a device, as in :::: <(ls), but for "
      "--journal.\n\n"
      "INT, TERM and USR1 stop a run: running commands have --grace to end, and the exit status is 75; --resume goes "
      "on.\n"
      "Exit status: 0 all commands ended well, 2 usage, 3 some failed, 4 broken, 75 stopped early; of a resumed run "
      "that\n"
      "of the whole list.\n\n"
      "Examples:\n"
      "  echelon map gzip -9 ::: *.log                         on all CPUs of this machine\n"
      "  echelon map --journal run.journal 'simulate {}' < inputs.txt\n"
      "  echelon map --journal run.journal --resume 'simulate {}' < inputs.txt\n"
      "  echelon -n 65 map --retries 3 --timeout 1h --output all.txt < commands.txt     64 at a time\n"
      "  echelon map --dry-run convert {} {.}.png ::: *.svg");
  app.add_option("-a,--arg-file", map->files, "Read inputs from FILE (- is standard input)")
      ->type_name("FILE")
      ->allow_extra_args(false);
  app.add_flag("-0,--null", map->null, "Inputs end with NUL rather than with a newline");
  constexpr std::uint64_t most_jobs = 999'999;
  add_count(
      app, "-j,--jobs", [map](std::uint64_t n) { map->jobs = n; },
      "Commands at a time, where echelon starts the ranks [a CPU each]", 1, most_jobs);
  app.add_flag("-k,--keep-order", options.keep_order, "Print in the order of the input");
  app.add_flag("--tag", options.tag, "Print the input and a TAB before each line");
  app.add_option("--output", options.output, "Standard output of all commands goes to FILE, that of each exactly once")
      ->type_name("FILE");
  app.add_option("--results", options.results,
                 "Keep each command's output in DIR/1/INPUT/stdout, stderr and seq, and print none of it")
      ->type_name("DIR");
  app.add_option("--joblog", options.joblog, "Log each command's end in FILE")->type_name("FILE");
  app.add_option("--journal", options.journal, "Keep in FILE what --resume needs [beside --output or --joblog]")
      ->type_name("FILE");
  app.add_flag("--resume", map->resume, "Go on with the journal: run what has not ended");
  app.add_flag("--resume-failed", map->resume_failed, "The same, and run again what failed");
  app.add_flag("--by-content", options.by_content, "Go on by what the commands are, where the list has changed");
  app.add_flag("--force", options.force, "Start over where the journal or the output is there already");
  constexpr std::uint64_t most_attempts = 1'000'000;
  add_count(
      app, "--retries", [map](std::uint64_t n) { map->options.attempts = static_cast<unsigned>(n); },
      "Attempts at a command that fails, elsewhere first [1]", 1, most_attempts);
  app.add_option("--timeout", map->timeout, "End a command after so long (30, 2m, 1h), or P% of the median")
      ->type_name("TIME|P%");
  app.add_option("--halt", map->halt,
                 "When to stop: now|soon,fail|success|done=N, of this run, or N% of the whole list")
      ->type_name("WHEN,WHY=N");
  app.add_option("--delay", map->delay, "Start commands so far apart")->type_name("TIME");
  app.add_option("--grace", map->grace, "Time that commands have to end after a signal [30 s]")->type_name("TIME");
  app.add_option("--time-request", map->time_request, "Start no command so shortly before the SLURM allocation ends")
      ->type_name("TIME");
  app.add_flag("--eta,--bar", map->bar, "Show progress, and the time left, even where there is no terminal");
  app.add_flag("--dry-run", map->dry_run, "Print the commands, run none");
  map->output.add_to(app);
  // Nothing is what a variable of the user's had in it, not what is to be the limit or the file.
  const CLI::Validator given{
      [](const std::string& value) { return std::string{value.empty() ? "it is empty; give a value" : ""}; }, ""};
  for (CLI::Option* const option :
       app.get_options([](const CLI::Option* o) { return o->get_items_expected_max() > 0; })) {
    option->check(given);
  }
  app.callback([map, &chosen] {
    settle(*map, chosen.words);
    chosen.check = [map] { check(*map); };
    if (map->dry_run) {
      chosen.run_here = [map] { return print_commands(*map); };
      return;
    }
    chosen.runs_commands = true;
    chosen.files = [map] { return files_to_hand_over(map->options); };
    chosen.if_lost = map::way_on(map->options);
    chosen.reads_input = std::ranges::any_of(map->options.sources, is_standard_input);
    chosen.ranks = 1 + (map->jobs > 0 ? map->jobs : measure::usable_cpus());
    chosen.before_mpi = [map] {
      launch::expect_stop_signals(comm::placement().rank);
      if (map->options.needs_s) (void)allocation_end();
      map->helper = std::make_unique<command::Helper>(command::command_environment(environ));
      signal(SIGXFSZ, SIG_IGN);  // a write beyond a limit fails then, as one on a full disk
    };
    chosen.run_on_ranks = [map](const RankContext& ranks) { return run(*map, ranks); };
  });
}

}  // namespace echelon::cli
