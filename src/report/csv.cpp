#include <fmt/format.h>

#include <echelon/report/csv.hpp>

#include "csv_cell.hpp"

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
  std::string csv = head +
                    ",rank,host,cpus,role,tasks,items,startup_s,compute_s,communicate_s,wait_s,wall_s,cpu_s,"
                    "max_rss_bytes,lost,between_nodes_messages,between_nodes_bytes\n";
  for (const measure::RankRecord& r : record.ranks) {
    csv += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", run, r.rank, csv_cell(r.host),
                       csv_cell(r.cpus), r.role, r.tasks, r.items, r.startup_s, r.compute_s, r.communicate_s, r.wait_s,
                       r.wall_s, r.cpu_s, r.max_rss_bytes, r.lost, r.between_nodes_messages, r.between_nodes_bytes);
  }
  return csv;
}

}  // namespace echelon::report
