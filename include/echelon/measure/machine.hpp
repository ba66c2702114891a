#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <echelon/measure/record.hpp>

namespace echelon::measure {

/// CPU numbers as Linux writes them, rising: {0, 1, 2, 8} and "0-2,8".
[[nodiscard]] std::string format_cpu_list(const std::vector<int>& cpus);
/// Throws std::invalid_argument on anything but such a list.
[[nodiscard]] std::vector<int> parse_cpu_list(std::string_view list);

/// The CPUs that this process may be scheduled on (sched_getaffinity).
[[nodiscard]] std::vector<int> affinity();

/// How many CPUs of this machine are switched on, allowed or not.
[[nodiscard]] std::uint64_t online_cpus();

/// How many whole cores are among `cpus`; less than cpus.size() where the CPUs are hardware threads of shared cores.
[[nodiscard]] std::uint64_t whole_cores(const std::vector<int>& cpus, const std::filesystem::path& root = "/");

/// CPUs' worth of time that the cgroups of this process grant, the tightest up to the root; nothing where there is no
/// limit. Reads cgroup v2 (cpu.max) and v1 (cpu.cfs_quota_us). `root` is "/" but in tests.
[[nodiscard]] std::optional<double> cgroup_cpu_quota(const std::filesystem::path& root = "/");

/// How many CPUs may really be used: no more than the affinity has, than a quota pays for (rounded up: half a CPU needs
/// a thread too), or than SLURM grants on this node.
[[nodiscard]] std::uint64_t usable_cpus(std::uint64_t affinity, std::optional<double> quota,
                                        std::optional<std::uint64_t> slurm) noexcept;
/// The same, of this process.
[[nodiscard]] std::uint64_t usable_cpus();

/// A look-up of environment variables: nothing where one is not set.
using Environment = std::function<std::optional<std::string>(const char* name)>;
[[nodiscard]] std::optional<std::string> environment(const char* name);

/// CPUs that SLURM gave this job on this node (SLURM_CPUS_ON_NODE); nothing outside SLURM.
[[nodiscard]] std::optional<std::uint64_t> slurm_cpus(const Environment& look_up = environment);
/// The variables that say what SLURM gave; nothing outside SLURM.
[[nodiscard]] std::optional<Slurm> slurm_context(const Environment& look_up = environment);

/// What SLURM gave the job that this process is in, over all of its nodes.
struct Allocation {
  std::vector<std::uint64_t> node_cpus;   ///< of each node
  std::vector<std::uint64_t> node_tasks;  ///< of each node: Open MPI's slots; empty where SLURM does not say
  std::optional<std::uint64_t> tasks;     ///< that were asked for

  [[nodiscard]] std::uint64_t cpus() const;
  /// How many ranks it is for, of so many threads each: the tasks that were asked for, otherwise what its CPUs hold.
  [[nodiscard]] std::uint64_t ranks(std::uint64_t threads) const;
  /// The fewest nodes, from the first on, whose CPUs are enough; all, where none are.
  [[nodiscard]] std::uint64_t nodes_for(std::uint64_t ranks, std::uint64_t threads) const;
};
/// Nothing outside SLURM, or where its variables are not what SLURM writes.
[[nodiscard]] std::optional<Allocation> slurm_allocation(const Environment& look_up = environment);

/// The names of the SLURM job's nodes (SLURM_JOB_NODELIST): node[01-02,4],login is node01, node02, node4, login. What
/// is not such a list is one name, as it is; empty outside of a job.
[[nodiscard]] std::vector<std::string> slurm_nodes(const Environment& look_up = environment);

[[nodiscard]] std::string host_name();
/// As /proc/cpuinfo names it.
[[nodiscard]] std::string cpu_model();

/// Of this process.
struct Usage {
  std::chrono::duration<double> cpu;  ///< all threads, user and system
  std::uint64_t max_rss_bytes;
};
[[nodiscard]] Usage usage();

/// Now, in UTC, as in 2026-11-21T08:15:30Z.
[[nodiscard]] std::string utc_now();

}  // namespace echelon::measure
