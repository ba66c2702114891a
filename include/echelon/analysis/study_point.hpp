#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <echelon/analysis/pop.hpp>
#include <echelon/measure/record.hpp>

namespace echelon::analysis {

/// What one host's ranks did in one run.
struct HostTiming {
  std::string host;
  std::uint64_t ranks = 0;
  std::uint64_t items = 0;  ///< all ranks together; 0: unknown
  double compute_s = 0;     ///< all ranks together
};

/// One repetition of a point.
struct StudyRun {
  std::uint64_t sequence = 0;  ///< its place in the order of all runs of the study
  double time_s = 0;
  std::optional<double> startup_s = {};  ///< the slowest rank's
  std::optional<double> elapsed_s = {};  ///< from the launch to the exit; of study_run, the slowest rank's wall time
  std::optional<double> cpu_s = {};      ///< of all ranks
  /// The smallest cpu_share() of a rank, of workloads whose compute phase is nothing but computing: pi and fill.
  std::optional<double> cpu_share = {};
  std::optional<PopRun> pop = {};
  std::uint64_t lost_ranks = 0;
  std::vector<HostTiming> hosts = {};
};

/// One configuration of a study and its runs.
struct StudyPoint {
  std::uint64_t ranks = 1;
  std::uint64_t threads = 1;  ///< a rank
  std::uint64_t nodes = 1;
  std::uint64_t cpus_allowed = 0;   ///< over all hosts, in the run that had the fewest; 0: unknown
  std::optional<double> work = {};  ///< of weak scaling: the value of its function
  bool oversubscribed = false;
  bool startup_counted = false;  ///< time_s is that of the whole launch, as of programs that keep no record
  std::uint64_t failures = 0;    ///< runs that failed and are not in `runs`
  std::vector<StudyRun> runs = {};
};

/// More threads than CPUs: as its records say, or by the count.
[[nodiscard]] bool is_oversubscribed(const StudyPoint& point);

[[nodiscard]] bool has_lost_ranks(const StudyPoint& point);

/// Of a record: its median repetition is the time, which is without startup. Throws std::invalid_argument where the
/// record has no repetitions.
[[nodiscard]] StudyRun study_run(const measure::Record& record, std::uint64_t sequence);

/// As in "8 ranks" or "4 ranks x 2 threads".
[[nodiscard]] std::string label(std::uint64_t ranks, std::uint64_t threads);

}  // namespace echelon::analysis
