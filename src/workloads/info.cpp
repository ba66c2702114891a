#include <algorithm>

#include <echelon/measure/machine.hpp>
#include <echelon/measure/topology.hpp>
#include <echelon/numeric/midpoint_rule.hpp>
#include <echelon/workloads/info.hpp>

namespace echelon::workloads {
namespace {

using numeric::Kernel;

measure::Fields machine() {
  const std::vector<int> cpus = measure::affinity();
  const std::optional<double> quota = measure::cgroup_cpu_quota();
  const std::optional<std::uint64_t> slurm = measure::slurm_cpus();
  const measure::Topology topology = measure::topology();
  std::vector<std::string> isas;
  for (const numeric::Isa isa : numeric::supported_isas()) isas.emplace_back(numeric::name(isa));
  const std::uint64_t usable = measure::usable_cpus();
  measure::Fields fields{{"usable_cpus", usable},
                         {"usable_cores", std::min(usable, measure::whole_cores(cpus))},
                         {"affinity", measure::format_cpu_list(cpus)},
                         {"affinity_cpus", std::uint64_t{cpus.size()}},
                         {"online_cpus", measure::online_cpus()}};
  // What does not limit this process is left out.
  if (quota) fields.emplace_back("cgroup_cpus", *quota);
  if (slurm) fields.emplace_back("slurm_cpus", *slurm);
  fields.insert(fields.end(), {{"packages", topology.packages},
                               {"numa_nodes", topology.numa_nodes},
                               {"cores", topology.cores},
                               {"hardware_threads", topology.hardware_threads},
                               {"memory_bytes", topology.memory_bytes},
                               {"caches", topology.caches},
                               {"isas", isas},
                               {"isa_of_fused", std::string{numeric::name(numeric::best_isa(Kernel::fused))}},
                               {"isa_of_direct", std::string{numeric::name(numeric::best_isa(Kernel::direct))}}});
  return fields;
}

}  // namespace

measure::Record run_info(const comm::Session& session, Account& account, const std::vector<std::string>& argv,
                         std::uint64_t threads) {
  Outcome outcome{
      .command = "info",
      .parameters = {{"threads", threads}},
      .result = {},
      .repetitions_s = {},
      .isa = std::string{numeric::name(numeric::supported_isas().front())},
      .threads = threads,
  };
  if (session.is_master()) outcome.result = machine();
  return close(session, account, argv, std::move(outcome));
}

}  // namespace echelon::workloads
