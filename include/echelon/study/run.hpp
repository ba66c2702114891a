#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <echelon/analysis/study_point.hpp>
#include <echelon/measure/record.hpp>
#include <echelon/study/plan.hpp>

namespace echelon::study {

inline constexpr std::string_view run_schema = "echelon.run/1";

/// One run of a study that has ended, well or not, as runs/NNNN.json keeps it.
struct Run {
  std::uint64_t seq = 1;  ///< its place in the order of all runs
  std::uint64_t block = 1;
  std::uint64_t ranks = 1;
  std::uint64_t threads = 1;
  bool warmup = false;
  unsigned attempt = 1;
  std::string started_at = {};  ///< UTC, ISO 8601
  std::vector<std::string> argv = {};
  double launch_to_exit_s = 0;
  std::optional<double> cpu_s = {};          ///< user and system, of all its processes on this node; nothing: unknown
  int exit_code = 0;                         ///< where it exited
  int signal = 0;                            ///< that ended it, or 0
  std::string error = {};                    ///< why it failed: the last lines of its standard error; empty: it did not
  std::string host = {};                     ///< that it was started on
  std::uint64_t cpus_allowed = 0;            ///< that the ranks could use together; 0: unknown, as on other nodes
  std::uint64_t nodes = 1;                   ///< that its ranks were on
  std::vector<std::string> allocation = {};  ///< the names of all nodes that it could use; empty: unknown, or this one
  std::string record_json = {};              ///< what it recorded itself, as it wrote it; empty: nothing
  std::optional<measure::Record> record = {};  ///< the same, read

  [[nodiscard]] bool succeeded() const noexcept { return error.empty(); }
};

/// Reads a record's JSON; throws std::runtime_error where it is none.
using ReadRecord = std::function<measure::Record(std::string_view json)>;

[[nodiscard]] std::string to_json(const Run& run);
/// Throws std::runtime_error, saying what is wrong.
[[nodiscard]] Run run_from_json(std::string_view text, const ReadRecord& read_record);

/// What the study is about: the median repetition of its record, or, where there is none, from launch to exit.
[[nodiscard]] double time_s(const Run& run);

/// The points of a plan with their measured runs, for analysis::analyse().
[[nodiscard]] std::vector<analysis::StudyPoint> study_points(const Plan& plan, std::span<const Run> runs);

}  // namespace echelon::study
