#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <echelon/farm/ending.hpp>
#include <echelon/farm/halt.hpp>
#include <echelon/map/journal_file.hpp>
#include <echelon/map/output_file.hpp>
#include <echelon/map/results_folder.hpp>
#include <echelon/map/run.hpp>

#include "output.hpp"
#include "printer.hpp"

namespace echelon::map {

/// A task of the list.
struct Listed {
  std::uint64_t number = 0;  ///< from 0
  std::string line;          ///< the command
  std::vector<std::string> values;
  std::string tag;
};

/// Of the tasks of the whole list, whichever run ended them.
struct Counts {
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;
  std::uint64_t ended_before = 0;   ///< of both, by earlier runs
  std::uint64_t failed_before = 0;  ///< of these, not well
  std::uint64_t output_lost = 0;    ///< of those that failed; they are run again on resume
  [[nodiscard]] std::uint64_t ended_now() const noexcept { return succeeded + failed - ended_before; }
};

/// Where everything about a task goes when it has ended for good: what it printed, the journal, the log, the counts.
class Deliveries {
 public:
  Deliveries(const Options& options, const Surroundings& surroundings);
  ~Deliveries();
  Deliveries(const Deliveries&) = delete;
  Deliveries& operator=(const Deliveries&) = delete;

  /// A task was read; true: it has ended in an earlier run, and is not to be run.
  [[nodiscard]] bool list(std::uint64_t number, const std::string& line);
  /// No command is to be started before: the journal's tasks have all been read.
  [[nodiscard]] bool may_start();
  void list_ended(std::uint64_t tasks);

  void deliver(const Listed& task, const farm::Ending& ending, const Output& output);
  /// Everything is where it belongs, on disk too.
  void finish();

  [[nodiscard]] const Counts& counts() const noexcept { return counts_; }
  [[nodiscard]] const std::vector<std::string>& failures() const noexcept { return failures_; }
  [[nodiscard]] std::optional<farm::Halt::When> halt(std::optional<std::uint64_t> total) const;
  [[nodiscard]] const farm::RunTimes& run_times() const noexcept { return run_times_; }

 private:
  struct Unlogged {
    farm::Ending ending;
    std::string joblog_line;
    std::optional<farm::journal::Piece> piece;
  };

  /// What needs to know which tasks the journal has; from the first one on that may start.
  void open_files();
  [[nodiscard]] bool has_output_file() const { return !options_.output.empty() && surroundings_.output_file < 0; }
  [[nodiscard]] OutputOptions output_options() const;
  void open_joblog();
  void log(const std::string& line) const;
  /// Into the logs, where it is not yet.
  void enter(std::uint64_t task);
  void deliver_lost(const Listed& task, const farm::Ending& ending, const Output& output);
  void count(const Listed& task, const farm::Ending& ending);

  const Options& options_;
  const Surroundings surroundings_;
  std::optional<JournalFile> journal_;
  std::unordered_map<std::uint64_t, Unlogged> unlogged_;  // delivered, and not in the logs
  std::optional<OutputFile> output_;
  Printer printer_;
  std::optional<ResultsFolder> results_;
  int joblog_ = -1;
  bool are_open_ = false;  // these files
  farm::RunTimes run_times_;
  Counts counts_;
  std::vector<std::string> failures_;  // some of them, a line each
};

}  // namespace echelon::map
