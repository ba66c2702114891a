#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <echelon/launch/start_command.hpp>
#include <echelon/study/plan.hpp>

namespace echelon::study {

/// In the environment of every run of a program that is no workload: one that writes its record (echelon.record/1) to
/// this file has its own times and those of its ranks in the study. For ranks on other nodes the folder must be theirs
/// too.
inline constexpr const char* record_variable = "ECHELON_RECORD";

/// What is started for one run.
struct CommandLine {
  std::vector<std::string> argv = {};
  std::vector<std::pair<std::string, std::string>> environment = {};  ///< beside what there is
  std::string folder = {};
  bool own_workload = false;  ///< its record must be there
  bool cpu_is_known = true;   ///< all ranks are here, and children of the launcher: their CPU time is the run's
};

/// Where a study runs.
struct Machine {
  std::string echelon;    ///< this program
  bool in_slurm = false;  ///< in an allocation
  bool is_root = false;   ///< Open MPI's mpirun wants to be told
  /// The command that starts so many ranks and threads, and hands `variables` on to other nodes.
  std::function<std::vector<std::string>(const launch::Launcher&, const Point&,
                                         const std::vector<std::string>& variables,
                                         const std::vector<std::string>& program)>
      start = {};
};

/// The first word of the command is a workload of Echelon's: pi, fill, queue, counter, log or map.
[[nodiscard]] bool is_own_workload(const Plan& plan);

/// @pre check() passed
[[nodiscard]] CommandLine command_line(const Plan& plan, const Point& point, const std::string& record_file,
                                       const Machine& machine);

/// Throws base::UsageError where the command, or the launcher, cannot be; part of check().
void check_command(const Plan& plan);

/// As a shell takes it, with the variables first.
[[nodiscard]] std::string shell_text(const CommandLine& line);

}  // namespace echelon::study
