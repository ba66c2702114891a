#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <echelon/measure/machine.hpp>

namespace echelon::launch {

/// What starts ranks.
struct Launcher {
  enum class Kind { automatic, mpirun, srun, custom };
  Kind kind = Kind::automatic;
  std::vector<std::string> words = {};  ///< of a custom one, with {ranks}, {threads} and the word {command}
};
/// auto, mpirun, srun, or a template such as 'mpiexec -n {ranks} {command}', within which quotes hold words together.
/// Throws base::UsageError, whose text begins with "--launcher: ".
[[nodiscard]] Launcher parse_launcher(std::string_view text);

/// What the launch of a run depends on.
struct LaunchPlan {
  std::uint64_t ranks = 1;
  std::uint64_t threads = 1;        ///< a rank
  bool outlives_ranks = false;      ///< as in LaunchRequest
  bool stops_by_itself = false;     ///< as in LaunchRequest
  bool bind = true;                 ///< as in LaunchRequest
  std::uint64_t usable_cpus = 1;    ///< here (measure::usable_cpus)
  std::uint64_t usable_cores = 1;   ///< whole cores among them
  bool all_cpus_of_machine = true;  ///< this process is not confined to some of them
  bool in_allocation = false;       ///< a scheduler says where the ranks go
  std::optional<measure::Allocation> slurm = {};
  bool in_step = false;               ///< of srun's, which holds CPUs that the ranks need
  bool user_chose_transport = false;  ///< OMPI_MCA_pml or OMPI_MCA_btl is set
  int open_mpi_major = 4;             ///< version of mpirun
  /// In an allocation: what mpirun hands on to ranks of other nodes; those on its own have its whole environment.
  std::vector<std::string> variables{"ECHELON_LAUNCHED", "ECHELON_WATCH", "OMP_WAIT_POLICY"};
};

/// What `automatic` is: within SLURM srun, where it serves; but mpirun where the run outlives ranks, since srun's steps
/// do not.
[[nodiscard]] Launcher::Kind chosen(Launcher::Kind asked, const LaunchPlan& plan, bool srun_serves);

/// By what `srun --mpi=list` and `scontrol show config` say: it has PMIx, by which ranks find each other, and a plugin
/// that binds them to CPUs of their own.
[[nodiscard]] bool says_srun_serves(std::string_view text);

/// The command that starts `program` as ranks. @pre the launcher is not automatic
[[nodiscard]] std::vector<std::string> start_command(const Launcher& launcher, const LaunchPlan& plan,
                                                     const std::vector<std::string>& program);

/// What to add to a complaint that a launcher has started this process already: how to open a shell where srun has
/// opened this one. Empty elsewhere.
[[nodiscard]] std::string way_out_of_step(const measure::Environment& look_up = measure::environment);

}  // namespace echelon::launch
