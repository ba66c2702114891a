#include <algorithm>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>

#include <fmt/format.h>

#include <echelon/base/error.hpp>
#include <echelon/report/json.hpp>
#include <echelon/report/output_file.hpp>
#include <echelon/report/table.hpp>

#include "app.hpp"

namespace echelon::cli {
namespace {

measure::Record read_record(const std::string& path) {
  std::ifstream file;
  if (path != "-") file.open(path);
  std::istream& in = path == "-" ? std::cin : file;
  std::ostringstream text;
  // Reading a folder succeeds in opening it only.
  if (!in || !(text << in.rdbuf()))
    throw base::UsageError(fmt::format("cannot read '{}'; give a file that --json wrote", path));
  try {
    measure::Record record = report::from_json(text.str());
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

}  // namespace

void add_report(CLI::App& program, Command& chosen) {
  auto paths = std::make_shared<std::vector<std::string>>();
  CLI::App& app = *program.add_subcommand("report", "Show how a program scales, from records that --json wrote");
  app.add_option("RECORDS", *paths, "Records of the same work on different numbers of ranks (- is standard input)")
      ->required();
  app.footer(
      "Speedup and efficiency are against the record with the fewest threads in all; times are without startup.\n\n"
      "Example:\n"
      "  for n in 1 2 4; do echelon pi -n $n --points 1e11 --json pi-$n.json; done\n"
      "  echelon report pi-*.json");
  app.callback([paths, &chosen] {
    chosen.run_here = [paths] {
      std::vector<measure::Record> records;
      for (const std::string& path : *paths) records.push_back(read_record(path));
      check_same_work(*paths, records);
      report::write_output("-", report::scaling_table(std::move(records)));
      return base::ExitCode::done;
    };
  });
}

}  // namespace echelon::cli
