#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <echelon/study/command_line.hpp>
#include <echelon/study/process.hpp>
#include <echelon/study/schedule.hpp>
#include <echelon/study/store.hpp>

namespace echelon::study {

/// What a study needs of the world; tests have a world of their own.
struct World {
  Machine machine;
  /// Ends a run after `most_s`, where there is a budget.
  std::function<Ending(const CommandLine&, const Store::Places&, std::optional<double> most_s)> launch;
  std::function<bool()> stop_asked;
  std::function<std::string()> utc_now;
  std::string host;
  std::uint64_t cpus_allowed = 0;  ///< on this host
  /// How many nodes the ranks of a point are on.
  std::function<std::uint64_t(const Point&)> nodes = [](const Point&) { return 1; };
  std::vector<std::string> allocation = {};  ///< names of nodes
  ReadRecord read_record;
  /// After every run, and once before the first.
  std::function<void(const Schedule&)> progress = [](const Schedule&) {};
  /// After a run that failed, before progress.
  std::function<void(const Run&, bool given_up)> failed = [](const Run&, bool) {};
};

struct Conclusion {
  bool stopped = false;                     ///< before its end
  bool budget_is_spent = false;             ///< its end
  std::optional<std::size_t> overrun = {};  ///< point of the run that had not ended by then, and does not count
  std::vector<std::size_t> given_up;        ///< points
};

/// Does what is left of a study, each run kept before the next begins. Throws base::UsageError where the runs that the
/// store has are not those that the plan begins with.
[[nodiscard]] Conclusion conduct(const Plan& plan, Store& store, const World& world);

}  // namespace echelon::study
