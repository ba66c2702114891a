#pragma once

#include <string>

#include <fmt/format.h>

#include <echelon/measure/record.hpp>
#include <echelon/measure/topology.hpp>
#include <echelon/report/plural.hpp>

namespace echelon::report {

/// A line on what ranks sent to other nodes; nothing where they are all of one.
inline std::string between_nodes(const measure::Record& record) {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  for (const measure::RankRecord& rank : record.ranks) {
    messages += rank.between_nodes_messages;
    bytes += rank.between_nodes_bytes;
  }
  if (messages == 0) return "";
  return fmt::format("between nodes: {}, {}\n", plural(messages, "message"), measure::format_bytes(bytes));
}

}  // namespace echelon::report
