#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include <fmt/format.h>

#include <echelon/analysis/warnings.hpp>
#include <echelon/measure/machine.hpp>

namespace echelon::analysis {

Capacity capacity(const std::vector<measure::RankRecord>& ranks, const std::vector<std::uint64_t>& quota,
                  std::uint64_t threads) {
  struct Host {
    std::set<int> cpus;
    std::uint64_t quota = 0;
    std::uint64_t threads = 0;
  };
  std::map<std::string, Host> hosts;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    Host& host = hosts[ranks[i].host];
    for (const int cpu : measure::parse_cpu_list(ranks[i].cpus)) host.cpus.insert(cpu);
    host.quota = std::max(host.quota, quota[i]);
    host.threads += threads;
  }
  Capacity total;
  for (const auto& [name, host] : hosts) {
    const std::uint64_t cpus = std::min<std::uint64_t>(host.cpus.size(), host.quota);
    total.cpus += cpus;
    total.oversubscribed = total.oversubscribed || host.threads > cpus;
  }
  return total;
}

double cpu_share(const measure::RankRecord& rank, std::uint64_t threads) noexcept {
  constexpr double too_short_to_tell_s = 0.05;
  if (rank.compute_s < too_short_to_tell_s) return 1;
  return rank.cpu_s / (rank.compute_s * static_cast<double>(threads));
}

std::vector<std::string> warnings(const measure::Record& record) {
  std::vector<std::string> found;
  const measure::Context& context = record.context;
  if (context.build_type != "Release" && context.build_type != "RelWithDebInfo") {
    found.push_back(
        fmt::format("this is a {} build, slower than what users run; measure with the release preset",
                    context.build_type.empty() ? "build without optimisation, a plain" : context.build_type));
  }
  const std::uint64_t threads = context.ranks * context.threads;
  if (context.oversubscribed) {
    found.push_back(fmt::format(
        "oversubscribed: {} thread{} on {} CPU{}; they take turns, so times and efficiencies are not those of "
        "{} CPUs; use fewer ranks or threads",
        threads, threads == 1 ? "" : "s", context.cpus_allowed, context.cpus_allowed == 1 ? "" : "s", threads));
  }
  // One CPU each, or each its own set, is bound. Ranks that share a set may be moved about by the kernel.
  std::set<std::pair<std::string, std::string>> places;
  for (const measure::RankRecord& rank : record.ranks) places.emplace(rank.host, rank.cpus);
  if (record.ranks.size() > 1 && places.size() < record.ranks.size() && !context.oversubscribed) {
    found.emplace_back(
        "unbound: ranks share their CPUs, so the kernel may move them; bind them, with mpirun --bind-to core or srun "
        "--cpu-bind=cores");
  }
  const auto share = [&](const measure::RankRecord& rank) { return cpu_share(rank, context.threads); };
  const auto starved = std::ranges::min_element(record.ranks, {}, share);
  if (starved != record.ranks.end() && !context.oversubscribed && share(*starved) < enough_cpu_share) {
    found.push_back(
        fmt::format("rank {} computed for {:.3g} s and got {:.0f} % of its CPU time: something else runs on its "
                    "CPUs{}, so times and "
                    "efficiencies are not to be relied on; measure on a quiet machine",
                    starved->rank, starved->compute_s, 100 * share(*starved),
                    context.threads > 1 ? ", or there was too little work for its threads" : ""));
  }
  const std::string* const job_nodes = measure::find(context.slurm, "SLURM_JOB_NUM_NODES");
  if (job_nodes != nullptr && context.launcher != "none") {
    const std::uint64_t nodes = std::strtoull(job_nodes->c_str(), nullptr, 10);
    const std::uint64_t used = std::min<std::uint64_t>(nodes, context.hosts.size());
    if (used < nodes) {
      found.push_back(fmt::format("{} of {} nodes of the SLURM job {} no rank", nodes - used, nodes,
                                  nodes - used == 1 ? "has" : "have"));
    }
  }
  const auto idle = static_cast<std::size_t>(
      std::ranges::count_if(record.ranks, [](const measure::RankRecord& rank) { return rank.items == 0; }));
  const bool has_work = idle < record.ranks.size();
  if (has_work && idle > 0) {
    found.push_back(fmt::format("{} of {} ranks got no work{}", idle, record.ranks.size(),
                                record.command == "pi"
                                    ? ": there are too few blocks or chunks; give more points, or a smaller "
                                      "--block or --chunk"
                                    : ""));
  }
  return found;
}

}  // namespace echelon::analysis
