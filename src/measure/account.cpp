#include <limits>
#include <utility>

#include <echelon/measure/account.hpp>

namespace echelon::measure {

Books close(Account& account, int rank, base::Traffic between_nodes, std::string isa) {
  PhaseClock& clock = account.clock;
  clock.enter(Phase::wait);
  const Usage used = usage();
  const auto seconds = [&](Phase phase) { return clock.spent(phase).count(); };
  return {.record = {.rank = static_cast<std::uint64_t>(rank),
                     .host = host_name(),
                     .cpus = format_cpu_list(affinity()),
                     .role = !account.role.empty() ? account.role
                             : rank == 0           ? "master"
                                                   : "worker",
                     .tasks = account.tasks,
                     .items = account.items,
                     .startup_s = seconds(Phase::startup),
                     .compute_s = seconds(Phase::compute),
                     .communicate_s = seconds(Phase::communicate),
                     .wait_s = seconds(Phase::wait),
                     .wall_s = clock.wall().count(),
                     .cpu_s = (used.cpu - account.usage_at_start.cpu).count(),
                     .max_rss_bytes = used.max_rss_bytes,
                     .between_nodes_messages = between_nodes.messages,
                     .between_nodes_bytes = between_nodes.bytes},
          .usable_cpus = usable_cpus(std::numeric_limits<std::uint64_t>::max(), cgroup_cpu_quota(), slurm_cpus()),
          .isa = std::move(isa)};
}

}  // namespace echelon::measure
