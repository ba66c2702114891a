#include <filesystem>
#include <memory>

#include <fmt/format.h>

#include <echelon/base/error.hpp>
#include <echelon/report/output_file.hpp>
#include <echelon/workloads/log.hpp>

#include "app.hpp"

namespace echelon::cli {
namespace {

namespace fs = std::filesystem;
using base::ExitCode;
using base::UsageError;
using workloads::LogOptions;

struct LogCommand {
  LogOptions options;
  bool replace = false;
  OutputOptions output;
};

void check_file(const LogCommand& command) {
  const std::string& file = command.options.file;
  if (file == "-") throw UsageError("FILE: standard output cannot be read back; give a file name");
  try {
    report::check_output(file);
  } catch (const UsageError& e) {
    throw UsageError(std::string{"FILE: "} + e.what());
  }
  for (const std::string& name : {file, workloads::partial_log(file)}) {
    if (!fs::exists(fs::symlink_status(name))) continue;
    if (!fs::is_regular_file(fs::status(name)))
      throw UsageError(fmt::format("FILE: '{}' is not a regular file; give another name", name));
    if (!command.replace)
      throw UsageError(fmt::format("FILE: '{}' is there already; give another name, or --force to replace it", name));
  }
  for (const std::string& other : {command.output.json, command.output.csv}) {
    if (other.empty() || other == "-" || !names_same_file(other, file)) continue;
    throw UsageError(fmt::format("FILE: '{}' is taken by --json or --csv; give a file of its own", file));
  }
}

ExitCode run(const LogCommand& command, const RankContext& ranks) {
  const measure::Record record = command.output.watch([&](const auto& progress) {
    return workloads::run_log(ranks.session, ranks.account, ranks.argv, command.options, progress);
  });
  if (!ranks.session.is_master()) return ExitCode::done;
  command.output.show(record, fmt::format("{}", measure::get<std::uint64_t>(record.result, "found")));
  if (workloads::log_is_right(record)) return ExitCode::done;
  if (const auto line = measure::get<std::uint64_t>(record.result, "first_wrong_line"); line > 0) {
    tell(fmt::format("the first line that is wrong is line {} of {}", line,
                     measure::get<std::string>(record.result, "file")));
  }
  return wrong_answer();
}

}  // namespace

void add_log(CLI::App& program, Command& chosen) {
  auto command = std::make_shared<LogCommand>();
  LogOptions& options = command->options;
  CLI::App& app =
      *program.add_subcommand("log", "Append lines to one file on all ranks, under a lock, and check every line");
  app.footer(
      "Each line is one write at the end of the file. Then every line of every rank must be there: once, whole, and "
      "in\n"
      "its rank's order. Until that is checked the file is called FILE.partial. --quiet prints how many lines are.\n\n"
      "Examples:\n"
      "  echelon -n 4 log run.log                    4 x 1000 lines\n"
      "  echelon -n 4 log --lines 1e5 --force run.log");
  app.add_option("FILE", options.file, "The file, on a file system that all ranks see")->required();
  constexpr std::uint64_t max_lines = std::uint64_t{1} << 40;
  add_count(
      app, "--lines", [&](std::uint64_t n) { options.lines = n; }, "Lines a rank [1000]", 0, max_lines);
  app.add_flag("--force", command->replace, "Replace FILE where it is there already");
  add_repeat(app, options.repeat);
  command->output.add_to(app);
  app.callback([command, &chosen] {
    chosen.check = [command] {
      check_file(*command);
      command->output.check();
    };
    chosen.run_on_ranks = [command](const RankContext& ranks) { return run(*command, ranks); };
  });
}

}  // namespace echelon::cli
