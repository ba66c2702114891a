#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace echelon::measure {

inline constexpr std::string_view record_schema = "echelon.record/1";

/// A named value of a workload's parameters or result; names carry their unit.
using Value = std::variant<bool, std::uint64_t, double, std::string, std::vector<std::string>>;
using Fields = std::vector<std::pair<std::string, Value>>;

/// What one rank did. startup_s + compute_s + communicate_s + wait_s = wall_s, which begins at the rank's main().
struct RankRecord {
  std::uint64_t rank = 0;
  std::string host;
  std::string cpus;  ///< the CPUs that it may run on, as in "0-3,8"
  std::string role;  ///< "master" or "worker", but in queue "producer" or "consumer"; in pi the master computes too
  std::uint64_t tasks = 0;  ///< chunks
  std::uint64_t items = 0;  ///< pi: points; queue: put or taken
  double startup_s = 0;
  double compute_s = 0;
  double communicate_s = 0;
  double wait_s = 0;
  double wall_s = 0;
  double cpu_s = 0;  ///< of all its threads, since main()
  std::uint64_t max_rss_bytes = 0;
  bool lost = false;  ///< it did not live to the end; its figures are what the master knew of it
  /// What it sent to ranks of other nodes, as comm::Session::between_nodes() counts; 0 in older records.
  std::uint64_t between_nodes_messages = 0;
  std::uint64_t between_nodes_bytes = 0;

  /// For Boost.Serialization's archives.
  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& rank& host& cpus& role& tasks& items& startup_s& compute_s& communicate_s& wait_s& wall_s& cpu_s&
        max_rss_bytes& lost& between_nodes_messages& between_nodes_bytes;
  }
};

/// The variables that SLURM gave the master, where it runs under SLURM.
using Slurm = std::vector<std::pair<std::string, std::string>>;

/// Under which conditions the figures were measured.
struct Context {
  std::string version;
  std::string commit;
  bool dirty = false;
  std::string build_type;
  std::string compiler;
  std::string mpi;
  std::string isa;
  std::string cpu_model;
  std::vector<std::string> hosts;
  std::uint64_t ranks = 1;
  std::uint64_t threads = 1;       ///< a rank
  std::uint64_t cpus_allowed = 1;  ///< that the ranks may use together, over all hosts
  bool oversubscribed = false;     ///< more threads than CPUs on some host
  std::string launcher;            ///< "none", "mpirun", "srun", or "echelon" (mpirun, started by echelon -n)
  std::optional<Slurm> slurm;
};

/// POP's efficiencies over the measured region, which is all but startup; the formulas are in analysis/pop.hpp.
struct Efficiency {
  double load_balance = 0;
  double communication = 0;
  double parallel = 0;
};

/// What one run produced, the same for every subcommand: the only thing that is written to disk or shown.
struct Record {
  std::string command;
  std::vector<std::string> argv;
  std::string started_at;  ///< UTC, ISO 8601
  double wall_s = 0;       ///< the slowest rank's, startup included
  Context context;
  Fields parameters;  ///< what the command was told, after defaults
  Fields result;
  /// Each repetition's time on its slowest rank, from a barrier to the answer; startup is not in it.
  std::vector<double> repetitions_s;
  std::vector<RankRecord> ranks;
  Efficiency efficiency;
};

/// The value of a field; throws std::out_of_range, naming it, where there is none of this type.
template <typename T>
[[nodiscard]] const T& get(const Fields& fields, std::string_view name);
/// The same, or nullptr.
template <typename T>
[[nodiscard]] const T* find(const Fields& fields, std::string_view name) noexcept;
/// Of SLURM's variable; nullptr where it was not set, or outside of a job.
[[nodiscard]] const std::string* find(const std::optional<Slurm>& slurm, std::string_view name) noexcept;

/// Of an odd number of values the middle one, of an even number the mean of the middle two. @pre not empty
[[nodiscard]] double median(std::vector<double> values);

template <typename T>
const T* find(const Fields& fields, std::string_view name) noexcept {
  for (const auto& [key, value] : fields) {
    if (key == name) return std::get_if<T>(&value);
  }
  return nullptr;
}

template <typename T>
const T& get(const Fields& fields, std::string_view name) {
  const T* value = find<T>(fields, name);
  if (value == nullptr) throw std::out_of_range("no such field of that type: " + std::string{name});
  return *value;
}

}  // namespace echelon::measure
