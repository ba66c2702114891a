#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/base/files.hpp>
#include <echelon/map/joblog.hpp>
#include <echelon/map/journal_lines.hpp>
#include <echelon/report/output_file.hpp>

#include "app.hpp"

namespace echelon::cli {
namespace {

namespace journal = farm::journal;
using base::ExitCode;
using base::UsageError;
using State = journal::Tasks::State;

struct JournalCommand {
  std::string file;
  std::string joblog;
  std::string left;
  bool separate_by_nul = false;
  bool all = false;
};

/// What is known of a journal.
struct Known {
  std::optional<map::JournalLines> lines;
  std::uint64_t runs = 0;
  std::uint64_t endings = 0;
  double begin = 0;
  double end = 0;
  double busy_s = 0;  ///< of all commands together
  [[nodiscard]] const journal::Tasks& tasks() const { return lines->view().tasks; }
};

Known read(const std::string& path, const std::string& name) {
  Known known;
  const auto count = [&](const journal::Line& line) {
    if (const auto* done = std::get_if<journal::Done>(&line)) {
      const farm::Ending& ending = done->ending;
      if (known.endings == 0 || ending.started_at < known.begin) known.begin = ending.started_at;
      known.end = std::max(known.end, ending.started_at + ending.wall_s);
      known.busy_s += ending.wall_s;
      ++known.endings;
    } else if (std::holds_alternative<journal::Run>(line)) {
      ++known.runs;
    }
  };
  known.lines.emplace(path, count, name);
  return known;
}

// ---- what is shown ----

std::string shortened(const std::string& text) {
  constexpr std::size_t most = 60;
  std::string result = text.substr(0, most);
  std::ranges::replace_if(
      result, [](unsigned char c) { return c < ' ' || c == 0x7F; }, ' ');
  return text.size() > most ? result + "..." : result;
}

std::string how_it_failed(const farm::Ending& ending) {
  if (ending.timed_out) return fmt::format("over its time limit, {:.3g} s", ending.wall_s);
  if (ending.signal != 0) return fmt::format("signal {}", ending.signal);
  if (ending.rank < 0) return "never finished";
  return fmt::format("status {}", ending.exit_code);
}

std::string failures(const Known& known, bool all) {
  constexpr std::uint64_t most = 20;
  const std::uint64_t count = known.tasks().count(State::failed);
  if (count == 0) return "";
  std::string text = "\n";
  std::uint64_t shown = 0;
  for (std::uint64_t task = 0; task < known.tasks().all().size() && (shown < most || all); ++task) {
    if (known.tasks().all()[task].how() != State::failed) continue;
    const auto how = known.lines->ending(task);
    if (!how) continue;
    const farm::Ending& ending = *how;
    text += fmt::format("task {}: {}", ending.task + 1, how_it_failed(ending));
    if (ending.attempts > 1) text += fmt::format(", {} attempts", ending.attempts);
    if (!ending.host.empty()) text += fmt::format(", on {}", ending.host);
    text += fmt::format(": {}", shortened(known.lines->task_line(task)));
    if (!ending.reason.empty()) text += fmt::format(": {}", shortened(ending.reason));
    text += '\n';
    ++shown;
  }
  if (shown < count) text += fmt::format("and {} more; --all shows them\n", count - shown);
  return text;
}

std::string date(double seconds) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

std::string sources(const std::vector<std::string>& all) {
  constexpr std::size_t most = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(all.size(), most); ++i) text += (i == 0 ? "" : ", ") + shortened(all[i]);
  if (all.size() > most) text += fmt::format(" and {} more", all.size() - most);
  return text;
}

std::string summary(const std::string& path, const Known& known, bool all) {
  const journal::Tasks& tasks = known.tasks();
  const journal::Header& header = *tasks.header();
  std::string text = fmt::format("command   {}\n", shortened(header.command));
  if (!header.sources.empty()) text += fmt::format("tasks of  {}\n", sources(header.sources));
  if (!header.output_path.empty()) {
    text += fmt::format("output    {}{}\n", header.output_path, header.keep_order ? ", in the list's order" : "");
  }
  text += fmt::format("tasks     {}{}{}\n", tasks.all().size(),
                      tasks.list_end() ? "" : ", and more where the list was not read to its end",
                      tasks.is_by_content() ? ", told apart by what they are" : "");
  text += fmt::format("ended     {} good, {} failed\n", tasks.count(State::good), tasks.count(State::failed));
  text += fmt::format("left      {}{}\n", tasks.count(State::open), tasks.list_end() ? "" : " or more");
  if (const auto& run = tasks.last_run()) {
    text += fmt::format("runs      {}, the last since {} by process {} on {}{}\n", known.runs, date(run->started_at),
                        run->pid, run->host, known.lines->view().is_in_use ? ": a run is writing it" : "");
  }
  if (known.endings > 0) {
    const double span_s = known.end - known.begin;
    text += fmt::format("time      {} to {}, {:.1f} s; commands {:.1f} s", date(known.begin), date(known.end), span_s,
                        known.busy_s);
    if (span_s > 0) text += fmt::format(", {:.1f} tasks/s", static_cast<double>(known.endings) / span_s);
    text += '\n';
  }
  text += failures(known, all);
  if ((tasks.count(State::open) > 0 || !tasks.list_end()) && !known.lines->view().is_in_use) {
    text += fmt::format("\nTo go on: the same command again with --journal {} --resume\n", path);
  }
  return text;
}

// ---- what is written ----

std::string joblog_of(const Known& known) {
  std::string text;
  map::write_joblog(*known.lines, map::JournalLines::Which::standing, [&](std::string_view piece) { text += piece; });
  return text;
}

std::string left_of(const JournalCommand& command, const Known& known) {
  const auto& tasks = known.tasks().all();
  const char separator = command.separate_by_nul ? '\0' : '\n';
  std::string text;
  std::uint64_t damaged = 0;
  for (std::uint64_t task = 0; task < tasks.size(); ++task) {
    if (tasks[task].how() == State::good) continue;
    if (tasks[task].has_line == 0) {
      ++damaged;
      continue;
    }
    const std::string line = known.lines->task_line(task);
    if (line.find(separator) != std::string::npos) {
      throw UsageError("--left: a task's line has a newline in it; -0 separates them by NUL");
    }
    text += line;
    text += separator;
  }
  if (damaged > 0) tell(fmt::format("note: --left: {} more, whose lines in the journal are damaged", damaged));
  if (!known.tasks().list_end()) {
    tell("note: --left: the list was not read to its end; what comes behind these tasks is not in the journal");
  }
  return text;
}

/// The file itself or, of what can be read but once, all of it in a file without a name, which is open in `held`.
std::string seekable(const std::string& path, base::Descriptor& held) {
  const base::Descriptor source{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat status {};
  if (!source.is_open() || fstat(source.get(), &status) != 0 || S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) {
    return path;  // what is wrong with it is said where it is read
  }
  held.reset(memfd_create("journal", MFD_CLOEXEC));
  std::string block(std::size_t{1} << 18U, '\0');
  for (;;) {
    const ssize_t count = ::read(source.get(), block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw UsageError(fmt::format("'{}' cannot be read: {}", path, std::strerror(errno)));
    if (count == 0) return fmt::format("/proc/self/fd/{}", held.get());
    const std::string_view bytes{block.data(), static_cast<std::size_t>(count)};
    if (base::write_next(held.get(), bytes) < bytes.size()) {
      throw UsageError(fmt::format("'{}' cannot be kept in memory: {}; give a file", path, std::strerror(errno)));
    }
  }
}

ExitCode run(const JournalCommand& command) {
  base::Descriptor held;
  const Known known = read(seekable(command.file, held), command.file);
  for (const std::string& note : known.lines->view().notes) tell("note: " + note);
  if (!command.joblog.empty()) report::write_output(command.joblog, joblog_of(known));
  if (!command.left.empty()) report::write_output(command.left, left_of(command, known));
  if (command.joblog != "-" && command.left != "-") {
    report::write_output("-", summary(command.file, known, command.all));
  }
  return ExitCode::done;
}

void check(const JournalCommand& command) {
  for (const auto& [option, path] : {std::pair{"--joblog", command.joblog}, std::pair{"--left", command.left}}) {
    if (path.empty()) continue;
    try {
      report::check_output(path);
    } catch (const UsageError& e) {
      throw UsageError(fmt::format("{}: {}", option, e.what()));
    }
  }
  if (command.joblog == "-" && command.left == "-") {
    throw UsageError("--left: standard output is taken by --joblog; give a file");
  }
  if (command.separate_by_nul && command.left.empty()) throw UsageError("-0: it is for --left; give that too");
}

}  // namespace

void add_journal(CLI::App& program, Command& chosen) {
  auto command = std::make_shared<JournalCommand>();
  CLI::App& app = *program.add_subcommand("journal", "Show what the journal of a map says, while it runs or after");
  app.footer(
      "The file is not changed. - is standard output, which then has nothing else.\n\n"
      "Examples:\n"
      "  echelon journal run.log                   what is done, what has failed, what is left\n"
      "  echelon journal run.log --left - | head   the tasks that are not done, or have failed");
  app.add_option("FILE", command->file, "A journal of echelon map")->required();
  app.add_flag("--all", command->all, "Show all tasks that have failed, not 20");
  app.add_option("--joblog", command->joblog, "Write what has ended as GNU parallel's --joblog does")
      ->type_name("FILE");
  app.add_option("--left", command->left, "Write the lines of the tasks that have failed or are not done")
      ->type_name("FILE");
  app.add_flag("-0,--null", command->separate_by_nul, "Separate the lines of --left by NUL");
  app.callback([command, &chosen] {
    chosen.check = [command] { check(*command); };
    chosen.run_here = [command] { return run(*command); };
  });
}

}  // namespace echelon::cli
