#include <algorithm>
#include <map>
#include <numeric>
#include <stdexcept>

#include <fmt/format.h>

#include <echelon/analysis/study_point.hpp>
#include <echelon/analysis/warnings.hpp>

namespace echelon::analysis {

bool is_oversubscribed(const StudyPoint& point) {
  return point.oversubscribed || (point.cpus_allowed > 0 && point.ranks * point.threads > point.cpus_allowed);
}

bool has_lost_ranks(const StudyPoint& point) {
  return std::ranges::any_of(point.runs, [](const StudyRun& run) { return run.lost_ranks > 0; });
}

StudyRun study_run(const measure::Record& record, std::uint64_t sequence) {
  if (record.repetitions_s.empty()) throw std::invalid_argument("a record without repetitions has no time");
  StudyRun run{.sequence = sequence, .time_s = measure::median(record.repetitions_s)};
  double startup_s = 0;
  double cpu_s = 0;
  std::map<std::string, HostTiming> hosts;
  for (const measure::RankRecord& rank : record.ranks) {
    startup_s = std::max(startup_s, rank.startup_s);
    cpu_s += rank.cpu_s;
    if (rank.lost) ++run.lost_ranks;
    HostTiming& host = hosts[rank.host];
    host.host = rank.host;
    ++host.ranks;
    host.items += rank.items;
    host.compute_s += rank.compute_s;
  }
  if (record.ranks.empty()) return run;
  if (record.command == "pi" || record.command == "fill") {
    const auto share = [&](const measure::RankRecord& rank) { return cpu_share(rank, record.context.threads); };
    run.cpu_share = share(*std::ranges::min_element(record.ranks, {}, share));
  }
  run.startup_s = startup_s;
  run.elapsed_s = record.wall_s;
  run.cpu_s = cpu_s;
  const auto repetitions = static_cast<double>(record.repetitions_s.size());
  const std::uint64_t threads = std::max<std::uint64_t>(record.context.threads, 1);
  run.pop = {.useful_s = useful_time_s(record.ranks) * static_cast<double>(threads) / repetitions,
             .longest_s = std::ranges::max(record.ranks, {}, &measure::RankRecord::compute_s).compute_s / repetitions,
             .elapsed_s = std::reduce(record.repetitions_s.begin(), record.repetitions_s.end()) / repetitions,
             .processors = record.ranks.size() * threads};
  for (const auto& [name, host] : hosts) run.hosts.push_back(host);
  return run;
}

std::string label(std::uint64_t ranks, std::uint64_t threads) {
  const std::string text = fmt::format("{} rank{}", ranks, ranks == 1 ? "" : "s");
  return threads == 1 ? text : fmt::format("{} x {} threads", text, threads);
}

}  // namespace echelon::analysis
