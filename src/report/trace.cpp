#include <array>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <echelon/report/trace.hpp>

namespace echelon::report {
namespace {

using Json = nlohmann::ordered_json;
using measure::RankRecord;

struct Phase {
  const char* name;
  double RankRecord::*seconds;
};
constexpr std::array phases{Phase{"startup", &RankRecord::startup_s}, Phase{"compute", &RankRecord::compute_s},
                            Phase{"communicate", &RankRecord::communicate_s}, Phase{"wait", &RankRecord::wait_s}};

Json metadata(const char* what, std::uint64_t host, std::uint64_t rank, Json args) {
  return {{"name", what}, {"ph", "M"}, {"pid", host}, {"tid", rank}, {"args", std::move(args)}};
}

}  // namespace

std::string chrome_trace(const measure::Record& record) {
  std::map<std::string, std::uint64_t> hosts;  // by their first rank
  Json events = Json::array();
  for (const RankRecord& rank : record.ranks) {
    const auto [host, is_new] = hosts.emplace(rank.host, hosts.size());
    const std::uint64_t pid = host->second;
    if (is_new) {
      events.push_back(metadata("process_name", pid, rank.rank, {{"name", rank.host}}));
      events.push_back(metadata("process_sort_index", pid, rank.rank, {{"sort_index", pid}}));
    }
    const std::string name =
        fmt::format("rank {}{}{}", rank.rank, rank.role.empty() ? "" : ", " + rank.role, rank.lost ? ", lost" : "");
    events.push_back(metadata("thread_name", pid, rank.rank, {{"name", name}}));
    events.push_back(metadata("thread_sort_index", pid, rank.rank, {{"sort_index", rank.rank}}));
    constexpr double us = 1e6;
    double begin_s = 0;
    for (const Phase& phase : phases) {
      const double duration_s = rank.*phase.seconds;
      if (!(duration_s > 0)) continue;
      events.push_back({{"name", phase.name},
                        {"cat", "phase"},
                        {"ph", "X"},
                        {"ts", begin_s * us},
                        {"dur", duration_s * us},
                        {"pid", pid},
                        {"tid", rank.rank}});
      begin_s += duration_s;
    }
  }
  Json json;
  json["displayTimeUnit"] = "ms";
  json["otherData"] = {
      {"order",
       "each rank's phases are totals, shown one after another from its own start; the order within a rank is by "
       "phase, not by time, and ranks are not aligned in time"},
      {"command", record.command},
      {"argv", record.argv},
      {"started_at", record.started_at},
      {"version", record.context.version},
      {"commit", record.context.commit}};
  json["traceEvents"] = std::move(events);
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace echelon::report
