#include <algorithm>
#include <utility>

#include <echelon/analysis/assemble.hpp>
#include <echelon/analysis/pop.hpp>
#include <echelon/analysis/warnings.hpp>
#include <echelon/base/version.hpp>
#include <echelon/measure/machine.hpp>

namespace echelon::analysis {
namespace {

std::vector<std::string> distinct(std::vector<std::string> texts) {
  std::ranges::sort(texts);
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  return texts;
}

std::string join(const std::vector<std::string>& texts) {
  std::string joined;
  for (const std::string& text : texts) joined += (joined.empty() ? "" : ",") + text;
  return joined;
}

}  // namespace

measure::Record assemble(Run run, std::vector<measure::Books> ranks) {
  measure::Record record;
  record.command = std::move(run.command);
  record.argv = std::move(run.argv);
  record.started_at = std::move(run.started_at);
  record.parameters = std::move(run.parameters);
  record.result = std::move(run.result);
  record.repetitions_s = std::move(run.repetitions_s);
  std::vector<std::uint64_t> quota;
  std::vector<std::string> hosts;
  std::vector<std::string> isas;
  for (measure::Books& books : ranks) {
    record.wall_s = std::max(record.wall_s, books.record.wall_s);
    quota.push_back(books.usable_cpus);
    hosts.push_back(books.record.host);
    isas.push_back(books.isa);
    record.ranks.push_back(std::move(books.record));
  }
  const Capacity enough = capacity(record.ranks, quota, run.threads);
  const base::Build& build = base::build();
  record.context = {
      .version = std::string{build.version},
      .commit = std::string{build.commit},
      .dirty = build.dirty,
      .build_type = std::string{build.type},
      .compiler = std::string{build.compiler},
      .mpi = std::move(run.mpi),
      .isa = join(distinct(std::move(isas))),
      .cpu_model = measure::cpu_model(),
      .hosts = distinct(std::move(hosts)),
      .ranks = record.ranks.size(),
      .threads = run.threads,
      .cpus_allowed = enough.cpus,
      .oversubscribed = enough.oversubscribed,
      .launcher = std::move(run.launcher),
      .slurm = measure::slurm_context(),
  };
  record.efficiency = pop_efficiency(record.ranks);
  return record;
}

}  // namespace echelon::analysis
