#pragma once

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <echelon/analysis/assemble.hpp>
#include <echelon/analysis/study.hpp>
#include <echelon/report/study_view.hpp>

/// Studies as the runner would leave them, for what shows studies; the same at every call.
namespace echelon::report::studies {

struct Shape {
  std::vector<std::uint64_t> ranks = {1, 2, 4, 8, 16, 32, 64};
  std::uint64_t threads = 1;
  std::size_t repetitions = 10;
  double serial = 0.01;
  double coherency = 1e-4;
  bool records = true;
  bool weak = false;
};

inline std::string time_text(std::uint64_t minute) {
  const auto two = [](std::uint64_t n) { return (n < 10 ? "0" : "") + std::to_string(n); };
  return "2026-11-21T" + two(8 + minute / 60 % 16) + ':' + two(minute % 60) + ":00Z";
}

inline measure::Record record_of(std::uint64_t ranks, std::uint64_t threads, double time_s, std::mt19937_64& random) {
  std::normal_distribution<double> noise{0, 1};
  measure::Record record;
  record.command = "pi";
  record.argv = {"echelon", "pi", "--points", "1e11"};
  record.started_at = "2026-11-21T08:15:30Z";
  record.context = {.version = "0.1.0",
                    .commit = "a6d13e0",
                    .build_type = "Release",
                    .compiler = "GNU 12.2.0",
                    .mpi = "Open MPI v4.1.4",
                    .isa = "AVX2",
                    .cpu_model = "AMD EPYC 7763 64-Core Processor",
                    .hosts = {},
                    .ranks = ranks,
                    .threads = threads,
                    .cpus_allowed = ranks * threads,
                    .launcher = "echelon",
                    .slurm = {}};
  for (std::uint64_t r = 0; r < ranks; ++r) {
    const std::string host = "node" + std::to_string(r / 16 + 1);
    if (r % 16 == 0) record.context.hosts.push_back(host);
    const double startup = 0.3 + 0.02 * std::abs(noise(random)) + 0.001 * static_cast<double>(ranks);
    const double compute = time_s * (0.86 + 0.025 * std::tanh(noise(random)));
    const double communicate = time_s * (0.012 + 0.004 * std::log2(static_cast<double>(ranks) + 1));
    record.ranks.push_back({.rank = r,
                            .host = host,
                            .cpus = std::to_string(r % 16),
                            .role = r == 0 ? "master" : "worker",
                            .tasks = 1,
                            .items = 100000000000 / ranks,
                            .startup_s = startup,
                            .compute_s = compute,
                            .communicate_s = communicate,
                            .wait_s = std::max(0.0, time_s - compute - communicate),
                            .wall_s = startup + time_s,
                            .cpu_s = compute * 1.02,
                            .max_rss_bytes = 18000000 + 1000 * r});
  }
  record.parameters = {{"points", std::uint64_t{100000000000}}, {"schedule", std::string{"static"}}};
  record.result = {{"value", 3.141592653589793}};
  record.repetitions_s = {time_s};
  record.wall_s = time_s + 0.3;
  record.efficiency = analysis::pop_efficiency(record.ranks);
  return record;
}

inline analysis::Study analysed(const std::vector<analysis::StudyPoint>& points, analysis::Scaling scaling) {
  analysis::StudyOptions options;
  options.scaling = scaling;
  return analysis::analyse(points, options);
}

inline StudyView make(const Shape& shape = {}) {
  std::mt19937_64 random{20261121};
  std::lognormal_distribution<double> noise{0, 0.012};
  StudyView view;
  view.title = "pi --points 1e11";
  view.command_line = "echelon study --ranks 1,2,4,8,16,32,64 --repeat 10 --out pi-study -- pi --points 1e11";
  if (shape.weak) view.weak = "1e9 * p";
  std::uint64_t sequence = 0;
  for (std::size_t i = 0; i < shape.ranks.size(); ++i) {
    const std::uint64_t ranks = shape.ranks[i];
    const double p = static_cast<double>(ranks * shape.threads);
    const double ideal_s = shape.weak ? 100 * (1 - shape.serial) : 100 * (1 - shape.serial) / p;
    const double median_s = ideal_s + 100 * shape.serial + 100 * shape.coherency * (p - 1);
    analysis::StudyPoint point{.ranks = ranks,
                               .threads = shape.threads,
                               .nodes = (ranks + 15) / 16,
                               .cpus_allowed = ranks * shape.threads,
                               .startup_counted = !shape.records};
    std::optional<measure::Record> kept;
    for (std::size_t n = 0; n <= shape.repetitions; ++n) {
      // Round by round, as in randomised blocks.
      sequence = n * shape.ranks.size() + (i * 5 + n * 3) % shape.ranks.size() + 1;
      const double time_s = median_s * noise(random);
      const bool warmup = n == 0;
      view.runs.push_back({.sequence = sequence,
                           .point = i,
                           .warmup = warmup,
                           .started_at = time_text(sequence * 2),
                           .host = "node" + std::to_string(sequence % 3 + 1),
                           .time_s = time_s * (warmup ? 1.06 : 1),
                           .launch_to_exit_s = time_s + 0.8,
                           .cpu_s = time_s * p * 0.97});
      if (warmup) continue;
      if (shape.records) {
        measure::Record record = record_of(ranks, shape.threads, time_s, random);
        point.runs.push_back(analysis::study_run(record, sequence));
        if (!kept) {
          view.contexts.push_back(record.context);
          kept = std::move(record);
        }
      } else {
        point.runs.push_back({.sequence = sequence, .time_s = time_s, .elapsed_s = time_s});
      }
    }
    view.points.push_back(std::move(point));
    view.records.push_back(std::move(kept));
  }
  view.study = analysed(view.points, shape.weak ? analysis::Scaling::weak : analysis::Scaling::strong);
  return view;
}

inline void add_failure(StudyView& view, std::size_t point, std::string error) {
  ++view.points[point].failures;
  view.runs.push_back({.sequence = view.runs.size() + 1,
                       .point = point,
                       .attempt = 2,
                       .started_at = time_text(300),
                       .host = "node2",
                       .launch_to_exit_s = 3.5,
                       .error = std::move(error)});
  view.study = analysed(view.points, view.study.scaling);
}

/// What could break the page or run in it, wherever a text of others is shown.
inline StudyView hostile() {
  StudyView view = make({.ranks = {1, 2, 4, 8}, .repetitions = 6});
  const std::string attack =
      "</script><script>window.attacked=1</script><img src=x onerror=\"window.attacked=1\"><!--<script> ' \" & "
      "{{data}} "
      "${window.attacked=1} \xF0\x9F\x9A\x80 \xE2\x80\xAE"
      "rtl \xff\xfe\xc0 \x01\x1b[31m";
  view.title = attack;
  view.command_line = attack;
  view.weak = attack;
  view.notes = {attack};
  for (auto& run : view.runs) run.host = attack + std::string(3000, 'h');
  for (auto& record : view.records) {
    record->context.cpu_model = attack;
    record->context.hosts = {attack, std::string(5000, 'x')};
    record->context.slurm = measure::Slurm{{attack, attack}};
    record->parameters.emplace_back(attack, attack);
    record->result.emplace_back("infinite", std::numeric_limits<double>::infinity());
    for (auto& rank : record->ranks) {
      rank.host = attack + std::string(2000, 'y');
      rank.role = attack;
      rank.lost = rank.rank == 1;
    }
    record->ranks.front().wait_s = std::numeric_limits<double>::infinity();
    record->ranks.front().compute_s = std::numeric_limits<double>::quiet_NaN();
  }
  add_failure(view, 1, attack);
  view.study.warnings.push_back(attack);
  view.study.rows[1].time_s->interval = analysis::Interval{0, std::numeric_limits<double>::infinity(), 0.95};
  view.study.rows[2].node_hours = std::numeric_limits<double>::quiet_NaN();
  return view;
}

}  // namespace echelon::report::studies
