#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <echelon/launch/start_command.hpp>

namespace echelon::launch {

/// What only this process can open, or what can be read but once: it is open already.
struct GivenFile {
  std::string name;
  int descriptor = -1;
};
constexpr std::size_t most_given_files = 200;  // Linux hands over 253 descriptors at a time

/// What to start as ranks.
struct LaunchRequest {
  std::uint64_t ranks = 1;
  std::uint64_t threads = 1;  ///< a rank
  /// The other ranks go on where one is lost, all but rank 0, and rank 0 ends with tell_outcome(). Otherwise a lost
  /// rank ends the run.
  bool outlives_ranks = false;
  bool reads_input = false;  ///< rank 0 is given this process's standard input
  /// Rank 0 ends the run where it is asked to: INT, TERM, HUP, USR1 and USR2 are requests to stop, which it gets from
  /// class Starter or StopRequests, and takes its time. Another INT, TERM or USR2 asks it to end at once, and ends the
  /// run where it tells no outcome within 5 s. mpirun gets no signals from a terminal. Needs outlives_ranks.
  bool stops_by_itself = false;
  /// That nobody reads its standard output any more is a request to stop, too, rather than the end. Needs
  /// stops_by_itself.
  bool stops_without_reader = false;
  Launcher launcher = {};            ///< mpirun or automatic where the run outlives ranks
  bool bind = true;                  ///< ranks to CPUs of their own; without, each may use all, but in an allocation
  std::vector<std::string> program;  ///< a command and its arguments
  /// For rank 0, which gets them by their names from class Starter. Needs stops_by_itself.
  std::vector<GivenFile> files = {};
  std::string if_lost = "start it again";  ///< what to type after a run that came to no end
};

/// The command that starts a program that is not to know of Echelon, here, where automatic is what it is for workloads;
/// `variables` are handed on to other nodes.
[[nodiscard]] std::vector<std::string> start_command_here(const Launcher& launcher, std::uint64_t ranks,
                                                          std::uint64_t threads,
                                                          const std::vector<std::string>& variables,
                                                          const std::vector<std::string>& program);

/// As many ranks of so many threads as the SLURM job, or this machine, has room for.
[[nodiscard]] std::uint64_t ranks_for_all(std::uint64_t threads);

/// How many nodes of the SLURM job they fill, one after another; one outside of a job.
[[nodiscard]] std::uint64_t nodes_for(std::uint64_t ranks, std::uint64_t threads);

/// For launchers that this process starts, such as mpirun, which reaches other nodes by a srun of its own: has srun
/// keep nothing of the environment from them, as after sbatch --export=NONE, and not wait for the step that this
/// process is in. Changes the environment.
void let_srun_start_all();

/// The executable that this process runs.
[[nodiscard]] std::string this_executable();

/// Starts ranks, hands on what they print, and waits for their end. Signals are passed on, or are requests to stop
/// where the run stops_by_itself, and a launch whose starter dies ends too. Returns the exit code for this process,
/// after a line on standard error where ranks were killed or could not be started; where there was a signal and rank 0
/// told no outcome, ends this process by that signal.
///
/// Where the run outlives ranks, the exit code is what rank 0 told; mpirun is ended where it does not end by itself,
/// and nothing of the run is left on this node: what tasks have left running is ended 0.3 s after the last rank, which
/// a line on standard error tells. May be called once, by a process without MPI.
[[nodiscard]] int launch(const LaunchRequest& request);

}  // namespace echelon::launch
