#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <echelon/report/study_view.hpp>

namespace echelon::report {

inline constexpr std::uint64_t view_runs_a_point = 6;

/// Times that do not vary: every interval is its value.
inline analysis::StudyPoint steady_point(std::uint64_t ranks, std::uint64_t nodes, double time_s, double elapsed_s,
                                         double cpu_s, const measure::Efficiency& efficiency, std::uint64_t first_run,
                                         std::uint64_t runs = view_runs_a_point) {
  analysis::StudyPoint point{.ranks = ranks, .nodes = nodes, .cpus_allowed = ranks};
  for (std::uint64_t i = 0; i < runs; ++i) {
    point.runs.push_back({.sequence = first_run + i,
                          .time_s = time_s,
                          .startup_s = 0.25,
                          .elapsed_s = elapsed_s,
                          .cpu_s = cpu_s,
                          .pop = analysis::PopRun{efficiency.parallel * static_cast<double>(ranks) * time_s,
                                                  efficiency.communication * time_s, time_s, ranks}});
  }
  return point;
}

inline measure::Record view_record(std::uint64_t ranks, std::vector<std::string> hosts) {
  measure::Record record;
  record.command = "pi";
  record.started_at = "2026-11-21T08:00:00Z";
  record.context = {.version = "1.2.3",
                    .commit = "abcdef",
                    .build_type = "Release",
                    .compiler = "GNU 12.2.0",
                    .mpi = "Open MPI 4.1.4",
                    .isa = "avx2",
                    .cpu_model = "CPU_1 @ 2.80GHz",
                    .hosts = hosts,
                    .ranks = ranks,
                    .launcher = "mpirun",
                    .slurm = {}};
  for (std::uint64_t r = 0; r < ranks; ++r) {
    record.ranks.push_back({.rank = r,
                            .host = hosts[r % hosts.size()],
                            .cpus = "0-1,4",
                            .role = r == 0 ? "master" : "worker",
                            .tasks = 2,
                            .items = 100 + r,
                            .startup_s = 0.25,
                            .compute_s = 4,
                            .communicate_s = 0.5,
                            .wait_s = 0.5,
                            .wall_s = 5.25,
                            .cpu_s = 5,
                            .max_rss_bytes = 1024});
  }
  return record;
}

/// T = 6/p + 2 on 1, 2, 4 and 8 ranks: Amdahl with s = 0.25. Points are not in the order of ranks. A warm-up and a run
/// of the largest point failed.
inline StudyView amdahl_view() {
  StudyView view;
  view.title = "pi --points 1e9";
  view.command_line = "echelon study --ranks 1,2,4,8 -- pi --points 1e9";
  view.points = {steady_point(4, 1, 3.5, 4.5, 16.2, {0.9, 0.8, 0.72}, 13), steady_point(1, 1, 8, 9, 8.1, {1, 1, 1}, 1),
                 steady_point(2, 1, 5, 6, 10.8, {0.95, 0.9, 0.855}, 7),
                 steady_point(8, 2, 2.75, 3.6, 25.2, {0.85, 0.7, 0.595}, 21)};
  view.points[3].failures = 2;
  view.study = analysis::analyse(view.points);
  view.study.warnings = {"8 ranks: too slow. That matters. Do less."};
  view.records = {std::nullopt, view_record(1, {"node1"}), view_record(2, {"node1", "node2"}), std::nullopt};
  view.contexts = {view.records[1]->context, view.records[2]->context};
  for (std::size_t p : {1, 2, 0, 3}) {
    if (p == 3) {
      view.runs.push_back({.sequence = 19,
                           .point = 3,
                           .warmup = true,
                           .started_at = "2026-11-21T08:19:00Z",
                           .host = "node1",
                           .launch_to_exit_s = 0.5,
                           .error = "exit 1: no \"licence\", sorry"});
      view.runs.push_back({.sequence = 20,
                           .point = 3,
                           .warmup = true,
                           .attempt = 2,
                           .started_at = "2026-11-21T08:20:00Z",
                           .host = "node1",
                           .launch_to_exit_s = 0.25,
                           .error = "signal 9\nkilled"});
    }
    for (const analysis::StudyRun& run : view.points[p].runs) {
      view.runs.push_back({.sequence = run.sequence,
                           .point = p,
                           .started_at = "2026-11-21T08:00:00Z",
                           .host = "node1",
                           .time_s = run.time_s,
                           .launch_to_exit_s = *run.elapsed_s + 0.5,
                           .cpu_s = run.cpu_s});
    }
  }
  return view;
}

}  // namespace echelon::report
