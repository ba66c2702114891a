#include <algorithm>
#include <cstdio>
#include <filesystem>

#include <unistd.h>

#include <echelon/analysis/warnings.hpp>
#include <echelon/base/error.hpp>
#include <echelon/base/number.hpp>
#include <echelon/measure/machine.hpp>
#include <echelon/report/csv.hpp>
#include <echelon/report/json.hpp>
#include <echelon/report/output_file.hpp>
#include <echelon/report/progress.hpp>
#include <echelon/report/table.hpp>

#include "app.hpp"

namespace echelon::cli {

void tell(std::string line) noexcept {
  std::ranges::replace(line, '\n', ' ');
  std::fprintf(stderr, "echelon: %s\n", line.c_str());
}

bool names_same_file(const std::string& one, const std::string& other) {
  const auto whole = [](const std::string& path) {
    std::error_code error;  // of a pipe's name, which leads nowhere
    const auto real = std::filesystem::weakly_canonical(std::filesystem::absolute(path), error);
    return error ? std::filesystem::absolute(path) : real;
  };
  return whole(one) == whole(other);
}

bool has_terminal() { return isatty(STDERR_FILENO) != 0 || measure::environment("ECHELON_TERMINAL").has_value(); }

base::ExitCode wrong_answer() {
  tell("the answer is wrong: it failed its own check; please report this with --json's record");
  return base::ExitCode::wrong_answer;
}

void OutputOptions::add_to(CLI::App& command) {
  json_option = command.add_option("--json", json, "Write the whole record to FILE (- is standard output)");
  json_option->type_name("FILE");
  csv_option = command.add_option("--csv", csv, "Write a line a rank to FILE (- is standard output)");
  csv_option->type_name("FILE");
  command.add_flag("--quiet", quiet, "Print the bare answer, and no progress, notes or tables");
}

void OutputOptions::check() const {
  const auto check_one = [](const CLI::Option& option, const std::string& path) {
    if (option.count() == 0) return;
    try {
      report::check_output(path);
    } catch (const base::UsageError& e) {
      throw base::UsageError(option.get_name() + ": " + e.what());
    }
  };
  check_one(*json_option, json);
  check_one(*csv_option, csv);
  if (json.empty() || csv.empty()) return;
  if (json == csv || names_same_file(json, csv))
    throw base::UsageError("--csv: '" + csv + "' is taken by --json; give a file of its own");
}

void OutputOptions::write(const measure::Record& record) const {
  if (!json.empty()) report::write_output(json, report::to_json(record));
  if (!csv.empty()) report::write_output(csv, report::to_csv(record));
}

void OutputOptions::show(const measure::Record& record, const std::string& bare_answer) const {
  write(record);  // first: what was measured is kept whatever becomes of the table
  if (!owns_stdout()) report::write_output("-", quiet ? bare_answer + '\n' : report::run_table(record));
  if (quiet) return;
  for (const std::string& warning : analysis::warnings(record)) tell("note: " + warning);
}

measure::Record OutputOptions::watch(
    const std::function<measure::Record(const std::function<void(double done)>& progress)>& run) const {
  report::ProgressLine line{has_terminal() && !quiet};
  return run([&](double done) { line.update(done); });
}

CLI::Option* add_count(CLI::App& command, const std::string& name, const std::function<void(std::uint64_t)>& set,
                       const std::string& description, std::uint64_t min, std::uint64_t max) {
  const auto parse = [=](const std::string& text) {
    try {
      set(base::parse_count(text, min, max));
    } catch (const base::UsageError& e) {
      throw CLI::ValidationError(name, e.what());
    }
  };
  return command.add_option_function<std::string>(name, parse, description)->type_name("N");
}

void add_repeat(CLI::App& command, std::uint64_t& repeat) {
  constexpr std::uint64_t max_repeat = 1'000'000;
  add_count(
      command, "--repeat", [&](std::uint64_t n) { repeat = n; }, "Repetitions; the median time is shown [1]", 1,
      max_repeat);
}

}  // namespace echelon::cli
