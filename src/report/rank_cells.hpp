#pragma once

#include <string>

#include <fmt/format.h>

#include <echelon/measure/record.hpp>

#include "csv_cell.hpp"

namespace echelon::report {

/// What CSV files have of a rank.
inline constexpr const char* rank_columns =
    "rank,host,cpus,role,tasks,items,startup_s,compute_s,communicate_s,wait_s,wall_s,cpu_s,max_rss_bytes,lost,"
    "between_nodes_messages,between_nodes_bytes";

inline std::string rank_cells(const measure::RankRecord& r) {
  return fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}", r.rank, csv_cell(r.host), csv_cell(r.cpus),
                     csv_cell(r.role), r.tasks, r.items, r.startup_s, r.compute_s, r.communicate_s, r.wait_s, r.wall_s,
                     r.cpu_s, r.max_rss_bytes, r.lost, r.between_nodes_messages, r.between_nodes_bytes);
}

}  // namespace echelon::report
