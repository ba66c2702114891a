#include <fmt/format.h>

#include <echelon/report/csv.hpp>

namespace echelon::report {
namespace {

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"') result += '"';
    result += c;
  }
  return result + '"';
}

struct Cell {
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(std::uint64_t value) const { return fmt::format("{}", value); }
  std::string operator()(double value) const { return fmt::format("{}", value); }
  std::string operator()(const std::string& value) const { return quoted(value); }
  std::string operator()(const std::vector<std::string>& values) const {
    return quoted(fmt::format("{}", fmt::join(values, " ")));
  }
};

}  // namespace

std::string to_csv(const measure::Record& record) {
  std::string head = "started_at,command,ranks,launcher";
  std::string run = fmt::format("{},{},{},{}", record.started_at, quoted(record.command), record.context.ranks,
                                quoted(record.context.launcher));
  for (const auto& [name, value] : record.parameters) {
    head += ',' + quoted(name);
    run += ',' + std::visit(Cell{}, value);
  }
  std::string csv = head +
                    ",rank,host,cpus,role,tasks,items,startup_s,compute_s,communicate_s,wait_s,wall_s,cpu_s,"
                    "max_rss_bytes,lost\n";
  for (const measure::RankRecord& r : record.ranks) {
    csv += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", run, r.rank, quoted(r.host), quoted(r.cpus),
                       r.role, r.tasks, r.items, r.startup_s, r.compute_s, r.communicate_s, r.wait_s, r.wall_s, r.cpu_s,
                       r.max_rss_bytes, r.lost);
  }
  return csv;
}

}  // namespace echelon::report
