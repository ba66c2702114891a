#include <fstream>
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
  std::ifstream in{path};
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

}  // namespace

void add_report(CLI::App& program, Command& chosen) {
  auto paths = std::make_shared<std::vector<std::string>>();
  CLI::App& app = *program.add_subcommand("report", "Show how a program scales, from records that --json wrote");
  app.add_option("RECORDS", *paths, "Records of the same work on different numbers of ranks")->required();
  app.footer(
      "Speedup and efficiency are against the record with the fewest threads in all; times are without startup.\n\n"
      "Example:\n"
      "  for n in 1 2 4; do echelon pi -n $n --points 1e11 --json pi-$n.json; done\n"
      "  echelon report pi-*.json");
  app.callback([paths, &chosen] {
    chosen.run_here = [paths] {
      std::vector<measure::Record> records;
      for (const std::string& path : *paths) records.push_back(read_record(path));
      report::write_output("-", report::scaling_table(std::move(records)));
      return base::ExitCode::done;
    };
  });
}

}  // namespace echelon::cli
