#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>

#include <fmt/format.h>

#include <echelon/base/error.hpp>
#include <echelon/report/json.hpp>
#include <echelon/report/output_file.hpp>
#include <echelon/report/study_text.hpp>
#include <echelon/report/table.hpp>
#include <echelon/study/store.hpp>

#include "app.hpp"
#include "study_folder.hpp"

namespace echelon::cli {
namespace {

/// `wanted`: what to give instead of what cannot be read.
std::string read_text(const std::string& path, std::string_view wanted) {
  std::ifstream file;
  if (path != "-") file.open(path);
  std::istream& in = path == "-" ? std::cin : file;
  std::ostringstream text;
  // Reading a folder succeeds in opening it only.
  if (!in || !(text << in.rdbuf())) throw base::UsageError(fmt::format("cannot read '{}'; give {}", path, wanted));
  return text.str();
}

report::Beside read_beside(const std::string& path) {
  const std::string text = read_text(path, "a CSV file with columns such as ranks and elapsed_s");
  try {
    return report::parse_beside(text, path);
  } catch (const std::runtime_error& e) {
    throw base::UsageError(fmt::format("--beside: '{}': {}", path, e.what()));
  }
}

measure::Record read_record(const std::string& path) {
  const std::string text = read_text(path, "a file that --json wrote");
  try {
    measure::Record record = report::from_json(text);
    if (record.repetitions_s.empty()) throw std::runtime_error("it has no timings");
    return record;
  } catch (const std::runtime_error& e) {
    throw base::UsageError(fmt::format("'{}' is not a record that --json wrote: {}", path, e.what()));
  }
}

/// Speedup compares times of the same work: all but the numbers of ranks and threads must be alike.
void check_same_work(const std::vector<std::string>& paths, const std::vector<measure::Record>& records) {
  const auto work = [](const measure::Record& record) {
    measure::Fields fields{{"command", record.command}};
    for (const auto& field : record.parameters) {
      const std::string& name = field.first;
      if (name != "threads" && name != "repeat" && name != "chunk") fields.push_back(field);
    }
    return fields;
  };
  const measure::Fields first = work(records.front());
  for (std::size_t i = 1; i < records.size(); ++i) {
    const measure::Fields other = work(records[i]);
    if (other == first) continue;
    const auto at = std::ranges::mismatch(first, other).in1;
    throw base::UsageError(fmt::format("'{}' and '{}' differ in {}; give records of the same work", paths.front(),
                                       paths[i], at == first.end() ? "their parameters" : at->first));
  }
}

struct ReportCommand {
  std::vector<std::string> paths;
  std::string out;
  std::vector<std::string> beside;
};

base::ExitCode report_records(const std::vector<std::string>& paths) {
  std::vector<measure::Record> records;
  for (const std::string& path : paths) records.push_back(read_record(path));
  check_same_work(paths, records);
  report::write_output("-", report::scaling_table(std::move(records)));
  return base::ExitCode::done;
}

base::ExitCode report_study(const std::vector<std::string>& folders, std::string out,
                            const std::vector<std::string>& beside) {
  if (out.empty()) out = (std::filesystem::path{folders.front()} / "report").string();
  report::StudyView view = read_study(folders);
  for (const std::string& path : beside) view.beside.push_back(read_beside(path));
  const std::vector<std::string> files = write_report(view, out);
  report::write_output("-", fmt::format("{}\n{}: {}\n", report::study_text(view), out, fmt::join(files, ", ")));
  return base::ExitCode::done;
}

bool is_folder(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

void check_are_studies(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (study::Store::has_study(path)) continue;
    std::error_code ignored;
    if (!is_folder(path) && (path == "-" || std::filesystem::exists(path, ignored))) {
      throw base::UsageError(
          fmt::format("'{}' is no folder: studies and records make no report together; give either of them", path));
    }
    throw base::UsageError(
        fmt::format("'{}' has no study; give a folder that echelon study wrote, or files that --json wrote", path));
  }
}

base::ExitCode run(const ReportCommand& command) {
  const bool is_study = std::ranges::any_of(command.paths, is_folder);
  if (is_study) check_are_studies(command.paths);
  if (!is_study) {
    for (const auto& [option, is_given] :
         {std::pair{"--out", !command.out.empty()}, std::pair{"--beside", !command.beside.empty()}}) {
      if (is_given)
        throw base::UsageError(fmt::format("{}: records have only a table; give the folder of a study", option));
    }
    return report_records(command.paths);
  }
  if (command.paths.size() > 1 && command.out.empty()) {
    throw base::UsageError("--out: the report of several studies belongs to none of them; give a folder for it");
  }
  return report_study(command.paths, command.out, command.beside);
}

}  // namespace

void add_report(CLI::App& program, Command& chosen) {
  auto command = std::make_shared<ReportCommand>();
  CLI::App& app = *program.add_subcommand("report", "Show how a program scales: a study, or records that --json wrote");
  app.add_option(
         "RECORDS", command->paths,
         "Folder of a study, or of several of the same work, whose points and runs are put together; or records of the "
         "same work on different numbers of ranks (- is standard input)")
      ->required();
  app.add_option(
      "--out", command->out,
      "Folder for the files of a study's report [report in the study's]; of several studies it must be given");
  app.add_option("--beside", command->beside,
                 "Set others' figures beside a study's: CSV with a header that names ranks or processors, elapsed_s or "
                 "time_s, and maybe cpu_percent; a first line of # and a title. May be given again")
      ->type_name("FILE")
      ->allow_extra_args(false);
  app.footer(
      "Of a study: the report as text; and as files the same and more as a page that opens offline (report.html), a "
      "table\n"
      "for a paper (table.md, table.tex), the data (tidy.csv, a line a run; ranks.csv, a line a rank), figures "
      "(gnuplot figures.gp makes them), and a trace of the ranks of one "
      "run\n"
      "on the most ranks (trace.json, for Perfetto).\n"
      "Of records: speedup and efficiency are against the record with the fewest threads in all; times are without "
      "startup.\n\n"
      "Examples:\n"
      "  echelon study --ranks 1,2,4 --out pi-study -- pi --points 1e10\n"
      "  echelon report pi-study\n"
      "  echelon report pi-study --beside paper.csv\n"
      "  echelon report --out report nodes-1 nodes-4 nodes-16\n\n"
      "  for n in 1 2 4; do echelon pi -n $n --points 1e11 --json pi-$n.json; done\n"
      "  echelon report pi-*.json");
  app.callback([command, &chosen] { chosen.run_here = [command] { return run(*command); }; });
}

}  // namespace echelon::cli
