#include <algorithm>
#include <limits>
#include <utility>

#include <echelon/analysis/pop.hpp>
#include <echelon/analysis/warnings.hpp>
#include <echelon/base/version.hpp>
#include <echelon/comm/collectives.hpp>
#include <echelon/workloads/account.hpp>

namespace echelon::workloads {
namespace {

/// The numbers of a RankRecord, in a form that travels as bytes.
struct Numbers {
  std::uint64_t tasks, items, max_rss_bytes, usable_cpus;
  double startup_s, compute_s, communicate_s, wait_s, wall_s, cpu_s;
};

Numbers close_books(Account& account) {
  measure::PhaseClock& clock = account.clock;
  clock.enter(measure::Phase::wait);  // ends the last phase; nothing is counted from here on
  const measure::Usage used = measure::usage();
  const auto seconds = [&](measure::Phase phase) { return clock.spent(phase).count(); };
  return {
      .tasks = account.tasks,
      .items = account.items,
      .max_rss_bytes = used.max_rss_bytes,
      .usable_cpus = measure::usable_cpus(std::numeric_limits<std::uint64_t>::max(), measure::cgroup_cpu_quota(),
                                          measure::slurm_cpus()),
      .startup_s = seconds(measure::Phase::startup),
      .compute_s = seconds(measure::Phase::compute),
      .communicate_s = seconds(measure::Phase::communicate),
      .wait_s = seconds(measure::Phase::wait),
      .wall_s = clock.wall().count(),
      .cpu_s = (used.cpu - account.usage_at_start.cpu).count(),
  };
}

std::vector<std::string> distinct(std::vector<std::string> texts) {
  std::ranges::sort(texts);
  const auto repeated = std::ranges::unique(texts);
  texts.erase(repeated.begin(), repeated.end());
  return texts;
}

std::string join(const std::vector<std::string>& texts) {
  std::string joined;
  for (const std::string& text : texts) joined += (joined.empty() ? "" : ",") + text;
  return joined;
}

std::string launcher() { return measure::environment("ECHELON_LAUNCHED") ? "echelon" : comm::placement().launcher; }

}  // namespace

measure::Record close(const comm::Session& session, Account& account, const std::vector<std::string>& argv,
                      Outcome outcome) {
  const std::vector<Numbers> numbers = comm::gather(session, close_books(account));
  const std::vector<std::string> hosts = comm::gather(session, measure::host_name());
  const std::vector<std::string> cpus = comm::gather(session, measure::format_cpu_list(measure::affinity()));
  const std::vector<std::string> isas = comm::gather(session, outcome.isa);
  if (!session.is_master()) return {};

  measure::Record record;
  record.command = std::move(outcome.command);
  record.argv = argv;
  record.started_at = account.started_at;
  record.parameters = std::move(outcome.parameters);
  record.result = std::move(outcome.result);
  record.repetitions_s = std::move(outcome.repetitions_s);
  std::vector<std::uint64_t> quota;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const Numbers& n = numbers[i];
    record.ranks.push_back({
        .rank = i,
        .host = hosts[i],
        .cpus = cpus[i],
        .role = i == 0 ? "master" : "worker",
        .tasks = n.tasks,
        .items = n.items,
        .startup_s = n.startup_s,
        .compute_s = n.compute_s,
        .communicate_s = n.communicate_s,
        .wait_s = n.wait_s,
        .wall_s = n.wall_s,
        .cpu_s = n.cpu_s,
        .max_rss_bytes = n.max_rss_bytes,
    });
    record.wall_s = std::max(record.wall_s, n.wall_s);
    quota.push_back(n.usable_cpus);
  }
  const analysis::Capacity capacity = analysis::capacity(record.ranks, quota, outcome.threads);
  const base::Build& build = base::build();
  record.context = {
      .version = std::string{build.version},
      .commit = std::string{build.commit},
      .dirty = build.dirty,
      .build_type = std::string{build.type},
      .compiler = std::string{build.compiler},
      .mpi = comm::Session::library(),
      .isa = join(distinct(isas)),
      .cpu_model = measure::cpu_model(),
      .hosts = distinct(hosts),
      .ranks = numbers.size(),
      .threads = outcome.threads,
      .cpus_allowed = capacity.cpus,
      .oversubscribed = capacity.oversubscribed,
      .launcher = launcher(),
      .slurm = measure::slurm_context(),
  };
  record.efficiency = analysis::pop_efficiency(record.ranks);
  return record;
}

}  // namespace echelon::workloads
