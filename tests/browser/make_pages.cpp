// Writes the pages that run.py opens into a folder.
#include <algorithm>
#include <fstream>
#include <iostream>

#include <echelon/report/html.hpp>

#include "report/studies.hpp"

namespace {

using namespace echelon::report;

/// One study with the points of both.
StudyView joined(StudyView first, const StudyView& second) {
  const std::size_t runs = first.runs.size();
  for (StudyRunLine run : second.runs) {
    run.point += first.points.size();
    run.sequence += runs;
    first.runs.push_back(run);
  }
  first.points.insert(first.points.end(), second.points.begin(), second.points.end());
  first.records.insert(first.records.end(), second.records.begin(), second.records.end());
  first.study = studies::analysed(first.points, echelon::analysis::Scaling::strong);
  return first;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: " << argv[0] << " FOLDER\n";
    return 2;
  }
  const auto write = [&](const std::string& name, const StudyView& view) {
    std::ofstream file{std::string{argv[1]} + '/' + name + ".html"};
    file << study_html(view, "| nodes | ranks | time s |\n|---:|---:|---:|\n| 1 | 1 | 100.0 |\n",
                       "\\begin{tabular}{rrr}\nnodes & ranks & time/s \\\\\n1 & 1 & 100.0 \\\\\n\\end{tabular}\n");
    if (!file.flush()) throw std::runtime_error("cannot write " + name);
  };
  StudyView typical = studies::make();
  studies::add_failure(typical, 3, "exit status 4: rank 5 on node2: MPI_Init failed\nno route to host");
  typical.study.warnings.emplace_back(
      "oversubscription: 64 ranks ran on 48 CPUs, so that they waited for each other; ask for as many CPUs as ranks");
  typical.notes.emplace_back("Two runs were repeated after the study was interrupted and resumed.");
  typical.beside.push_back({.title = "A paper, its table 2",
                            .is_elapsed = false,
                            .rows = {{1, 80, 99}, {2, 41, 198}, {4, 22, 391}, {24, 5}}});
  write("typical", typical);
  write(
      "large",
      studies::make(
          {.ranks = {1, 2, 4, 8, 16, 64, 128, 256, 512, 1024}, .repetitions = 20, .serial = 2e-4, .coherency = 1e-7}));
  // As large as it is to stay below 5 MiB: a thousand ranks at each of ten points.
  const StudyView thousand =
      studies::make({.ranks = {1015, 1016, 1017, 1018, 1019, 1020, 1021, 1022, 1023, 1024}, .repetitions = 20});
  write("thousand", thousand);
  write("weak", studies::make({.weak = true}));
  write("threads", studies::make({.ranks = {1, 2, 4, 8, 16}, .threads = 4, .repetitions = 7}));
  // The same numbers of processors by ranks alone, and by two threads a rank.
  write("hybrid", joined(studies::make({.ranks = {1, 2, 4, 8, 16, 32}}),
                         studies::make({.ranks = {1, 2, 4, 8, 16}, .threads = 2, .coherency = 6e-4})));
  // More threads only where there are no more ranks; as fast as can be, so that serial fractions are about 0; and
  // intervals far wider than what the values alone would need of the axes.
  StudyView steps = joined(studies::make({.ranks = {1, 2, 4}, .serial = 0, .coherency = 0}),
                           studies::make({.ranks = {4, 8}, .threads = 2, .serial = 0, .coherency = 0}));
  steps.study.rows[1].time_s->interval = echelon::analysis::Interval{45, 190, 0.95};
  steps.study.rows[1].scaling->speedup.interval = echelon::analysis::Interval{0.5, 2.6, 0.95};
  steps.study.rows[1].scaling->efficiency.interval = echelon::analysis::Interval{0.25, 1.3, 0.95};
  steps.study.rows[1].pop->load_balance.interval = echelon::analysis::Interval{0.4, 1.3, 0.95};
  write("steps", steps);
  // Faster than the models allow; more threads than CPUs from 16 on.
  StudyView beyond =
      studies::make({.ranks = {1, 2, 3, 4, 8, 12, 16, 32}, .repetitions = 7, .serial = -0.02, .coherency = 0});
  for (auto& point : beyond.points) {
    point.cpus_allowed = std::min<std::uint64_t>(point.ranks, 12);
  }
  beyond.study = studies::analysed(beyond.points, echelon::analysis::Scaling::strong);
  write("beyond", beyond);
  write("bare", studies::make({.ranks = {1, 2}, .repetitions = 3, .records = false}));
  write("hostile", studies::hostile());
  StudyView none;
  none.title = "nothing";
  none.command_line = "echelon study --ranks 1 -- false";
  write("empty", none);
  none.points = {{.ranks = 1}, {.ranks = 2}};
  none.records.resize(2);
  none.study = echelon::analysis::analyse(none.points);
  studies::add_failure(none, 0, "exit status 1");
  write("failed", none);
}
