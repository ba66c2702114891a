#include <array>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include <echelon/analysis/compare.hpp>
#include <echelon/analysis/conditions.hpp>
#include <echelon/report/compare_text.hpp>
#include <echelon/report/output_file.hpp>

#include "app.hpp"
#include "study_folder.hpp"

namespace echelon::cli {
namespace {

base::ExitCode compare(const std::array<std::string, 2>& folders) {
  const report::StudyView first = read_study({folders[0]});
  const report::StudyView second = read_study({folders[1]});
  if (first.weak != second.weak) {
    throw base::UsageError(
        fmt::format("'{}' and '{}' do not scale alike (--weak); compare studies that do", folders[0], folders[1]));
  }
  const analysis::Comparison found = analysis::compare(first.points, second.points);
  if (found.points.empty()) {
    throw base::UsageError(
        fmt::format("'{}' and '{}' have no point in common; compare studies with the same ranks and threads",
                    folders[0], folders[1]));
  }
  std::vector<measure::Context> contexts = first.contexts;
  contexts.insert(contexts.end(), second.contexts.begin(), second.contexts.end());
  report::write_output(
      "-", report::compare_text(found, fmt::format("{}: {}", folders[0], first.title),
                                fmt::format("{}: {}", folders[1], second.title), analysis::differing(contexts)));
  return base::ExitCode::done;
}

}  // namespace

void add_compare(CLI::App& program, Command& chosen) {
  auto folders = std::make_shared<std::array<std::string, 2>>();
  CLI::App& app = *program.add_subcommand("compare", "Compare two studies, point by point");
  app.add_option("A", (*folders)[0], "Folder of a study, as echelon study leaves it")->required();
  app.add_option("B", (*folders)[1], "Folder of the other")->required();
  app.footer(
      "Points with the same ranks and threads are compared by the ratio of their median times. A verdict takes 6 runs "
      "of\n"
      "a point in each study, and counts how many points are compared: see the text under the table.\n\n"
      "Example:\n"
      "  echelon study --ranks 1,2,4 --out before -- ./old {ranks}\n"
      "  echelon study --ranks 1,2,4 --out after -- ./new {ranks}\n"
      "  echelon compare before after");
  app.callback([folders, &chosen] { chosen.run_here = [folders] { return compare(*folders); }; });
}

}  // namespace echelon::cli
