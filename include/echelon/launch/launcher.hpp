#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace echelon::launch {

/// What the launch of a run depends on.
struct LaunchPlan {
  std::uint64_t ranks = 1;
  std::uint64_t threads = 1;          ///< a rank
  std::uint64_t usable_cpus = 1;      ///< here (measure::usable_cpus)
  std::uint64_t usable_cores = 1;     ///< whole cores among them
  bool all_cpus_of_machine = true;    ///< this process is not confined to some of them
  bool in_allocation = false;         ///< a scheduler says where the ranks go
  bool user_chose_transport = false;  ///< OMPI_MCA_pml or OMPI_MCA_btl is set
};

/// The command that starts `program` as ranks under Open MPI's mpirun.
[[nodiscard]] std::vector<std::string> mpirun_command(const LaunchPlan& plan, const std::vector<std::string>& program);

/// Starts `program` (a command and its arguments) as ranks, hands on what they print, and waits for their end. Signals
/// are passed on, and a launch whose starter dies ends too. Returns the exit code for this process, after a line on
/// standard error where ranks were killed or could not be started. May be called once, by a process without MPI.
[[nodiscard]] int launch(std::uint64_t ranks, std::uint64_t threads, const std::vector<std::string>& program);

}  // namespace echelon::launch
