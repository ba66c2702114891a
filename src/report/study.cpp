#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include <echelon/report/table.hpp>

#include "seconds.hpp"

namespace echelon::report {
namespace {

using analysis::Estimate;

template <typename Format>
std::pair<std::string, std::string> cells(const std::optional<Estimate>& estimate, Format format) {
  if (!estimate) return {"-", ""};
  const auto& interval = estimate->interval;
  return {format(estimate->value),
          interval ? fmt::format("[{}, {}]", format(interval->lower), format(interval->upper)) : ""};
}

}  // namespace

std::string study_table(const analysis::Study& study) {
  const bool any_failed = std::ranges::any_of(study.rows, [](const auto& row) { return row.failures > 0; });
  std::vector<Table::Column> columns{{"ranks"},         {"threads"},       {"n"},
                                     {"time s"},        {"95 % interval"}, {"speedup"},
                                     {"95 % interval"}, {"efficiency"},    {"95 % interval"}};
  if (any_failed) columns.push_back({"failed runs"});
  Table table{columns};
  const auto ratio = [](double value) { return fmt::format("{:.3f}", value); };
  for (const analysis::StudyRow& row : study.rows) {
    const auto [time, time_interval] = cells(row.time_s, seconds);
    std::optional<Estimate> speedup;
    std::optional<Estimate> efficiency;
    if (row.scaling) speedup = row.scaling->speedup;
    if (row.scaling) efficiency = row.scaling->efficiency;
    const auto [faster, faster_interval] = cells(speedup, ratio);
    const auto [efficient, efficient_interval] = cells(efficiency, ratio);
    std::vector<std::string> line{fmt::format("{}", row.ranks),
                                  fmt::format("{}", row.threads),
                                  fmt::format("{}", row.repetitions),
                                  time,
                                  time_interval,
                                  faster,
                                  faster_interval,
                                  efficient,
                                  efficient_interval};
    if (any_failed) line.push_back(row.failures > 0 ? fmt::format("{}", row.failures) : "");
    table.add(std::move(line));
  }
  return table.text();
}

}  // namespace echelon::report
