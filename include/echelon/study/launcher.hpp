#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace echelon::study {

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

/// A rank that did not end by itself, as mpirun tells it.
struct KilledRank {
  int rank;
  std::string host;
  int signal;
  std::string signal_name;
};

/// Takes mpirun's standard error, on which the ranks' own comes too, and keeps back what mpirun says at length about
/// ranks that ended with a status or a signal: the status says it, and Echelon says it in one line.
class ChatterFilter {
 public:
  /// What to pass on at once of this and of what came before.
  [[nodiscard]] std::string feed(std::string_view bytes);
  /// What to pass on at the end.
  [[nodiscard]] std::string finish();

  [[nodiscard]] const std::optional<KilledRank>& killed() const noexcept { return killed_; }
  /// mpirun reported a rank's status: the failure is not one of mpirun itself.
  [[nodiscard]] bool rank_failed() const noexcept { return rank_failed_; }

 private:
  std::string take_line(std::string_view line);
  bool is_about_ranks(std::string_view block);

  std::string line_;
  std::optional<std::string> block_;  // since a line of dashes
  std::optional<KilledRank> killed_;
  bool rank_failed_ = false;
};

/// Starts `program` (a command and its arguments) as ranks, hands on what they print, and waits for their end. Signals
/// are passed on, and a launch whose starter dies ends too. Returns the exit code for this process, after a line on
/// standard error where ranks were killed or could not be started. May be called once, by a process without MPI.
[[nodiscard]] int launch(std::uint64_t ranks, std::uint64_t threads, const std::vector<std::string>& program);

}  // namespace echelon::study
