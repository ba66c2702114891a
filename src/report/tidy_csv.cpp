#include <algorithm>

#include <fmt/format.h>

#include <echelon/report/tidy_csv.hpp>

#include "csv_cell.hpp"
#include "rank_cells.hpp"

namespace echelon::report {
namespace {

std::string cell(const std::optional<double>& value) { return value ? fmt::format("{}", *value) : ""; }

/// On one line and without commas, so that readers that know of no quotes read it too.
std::string plain_cell(std::string text) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; };
  std::ranges::replace_if(text, is_control, ' ');
  std::ranges::replace(text, ',', ';');
  return csv_cell(text);
}

const analysis::StudyRun* measured(const analysis::StudyPoint& point, std::uint64_t sequence) {
  const auto found = std::ranges::find(point.runs, sequence, &analysis::StudyRun::sequence);
  return found == point.runs.end() ? nullptr : &*found;
}

}  // namespace

std::string tidy_csv(const StudyView& view) {
  std::string csv =
      "sequence,ranks,threads,nodes,processors,warmup,repetition,attempt,started_at,host,time_s,launch_to_exit_s,cpu_s,"
      "startup_s,error\n";
  std::vector<StudyRunLine> runs = view.runs;
  std::ranges::stable_sort(runs, {}, &StudyRunLine::sequence);
  std::vector<std::uint64_t> repetitions(view.points.size(), 0);
  for (const StudyRunLine& run : runs) {
    const analysis::StudyPoint& point = view.points.at(run.point);
    const bool succeeded = run.error.empty();
    const bool counts = succeeded && !run.warmup;
    const std::string repetition = counts ? fmt::format("{}", ++repetitions[run.point]) : "";
    const std::string time = succeeded ? fmt::format("{}", run.time_s) : "";
    const analysis::StudyRun* known = counts ? measured(point, run.sequence) : nullptr;
    csv += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", run.sequence, point.ranks, point.threads,
                       point.nodes, point.ranks * point.threads, run.warmup, repetition, run.attempt,
                       csv_cell(run.started_at), plain_cell(run.host), time, run.launch_to_exit_s, cell(run.cpu_s),
                       cell(known != nullptr ? known->startup_s : std::nullopt), plain_cell(run.error));
  }
  return csv;
}

std::string ranks_csv(const StudyView& view) {
  std::string csv = std::string{"ranks,threads,nodes,started_at,"} + rank_columns + '\n';
  for (const analysis::StudyRow& row : view.study.rows) {
    if (row.point >= view.records.size() || !view.records[row.point]) continue;
    const measure::Record& record = *view.records[row.point];
    for (const measure::RankRecord& rank : record.ranks) {
      csv += fmt::format("{},{},{},{},{}\n", row.ranks, row.threads, row.nodes, csv_cell(record.started_at),
                         rank_cells(rank));
    }
  }
  return csv;
}

}  // namespace echelon::report
