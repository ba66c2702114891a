#include <fmt/format.h>

#include <echelon/report/csv.hpp>

#include "csv_cell.hpp"
#include "rank_cells.hpp"

namespace echelon::report {
namespace {

struct Cell {
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(std::uint64_t value) const { return fmt::format("{}", value); }
  std::string operator()(double value) const { return fmt::format("{}", value); }
  std::string operator()(const std::string& value) const { return csv_cell(value); }
  std::string operator()(const std::vector<std::string>& values) const {
    return csv_cell(fmt::format("{}", fmt::join(values, " ")));
  }
};

}  // namespace

std::string to_csv(const measure::Record& record) {
  std::string head = "started_at,command,ranks,launcher";
  std::string run = fmt::format("{},{},{},{}", record.started_at, csv_cell(record.command), record.context.ranks,
                                csv_cell(record.context.launcher));
  for (const auto& [name, value] : record.parameters) {
    head += ',' + csv_cell(name);
    run += ',' + std::visit(Cell{}, value);
  }
  std::string csv = head + ',' + rank_columns + '\n';
  for (const measure::RankRecord& rank : record.ranks) csv += fmt::format("{},{}\n", run, rank_cells(rank));
  return csv;
}

}  // namespace echelon::report
