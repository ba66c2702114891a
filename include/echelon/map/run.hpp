#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <echelon/base/error.hpp>
#include <echelon/comm/session.hpp>
#include <echelon/command/helper.hpp>
#include <echelon/command/inputs.hpp>
#include <echelon/farm/halt.hpp>
#include <echelon/map/journal_file.hpp>
#include <echelon/measure/account.hpp>
#include <echelon/measure/record.hpp>

namespace echelon::map {

/// Which commands to run, and how.
struct Options {
  std::string command;  ///< the template; empty: each line of the input is a command
  std::vector<command::Source> sources;
  char separator = '\n';  ///< between the tasks of an input

  bool keep_order = false;
  bool tag = false;
  std::string output;   ///< a file for standard output; empty: this process's own
  std::string results;  ///< a folder for what tasks print; without `output` nothing is printed then; empty: none
  std::string joblog;
  std::string journal;
  Resume resume = Resume::no;
  bool by_content = false;
  bool force = false;  ///< files that are there already are replaced

  unsigned attempts = 1;                  ///< of each task, at most
  std::optional<double> timeout_s;        ///< of each attempt
  std::optional<double> timeout_percent;  ///< the same, of the median time so far
  farm::Halt halt;
  std::chrono::duration<double> delay{0};   ///< between two starts
  std::chrono::duration<double> grace{30};  ///< for running commands, after a request to stop
  std::optional<double> needs_s;            ///< a command is not started so shortly before `ends_at`
  std::optional<double> ends_at;            ///< the allocation, in seconds since 1970
};

/// What to type after a run that came to no end.
[[nodiscard]] std::string way_on(const Options& options);

struct Progress {
  std::uint64_t ended = 0;  ///< well or not, in earlier runs too
  std::uint64_t failed = 0;
  std::optional<std::uint64_t> total;  ///< where it is known
  std::uint64_t ended_now = 0;         ///< in this run
};

/// What the master's surroundings are to the run.
struct Surroundings {
  int output = 1;  ///< descriptors that tasks' output goes to
  int errors = 2;
  int output_file = -1;                ///< what Options::output names, where that is open already: a pipe, a device
  int joblog_file = -1;                ///< the same of Options::joblog
  std::function<void()> started = {};  ///< called once the loss of any rank is seen
  std::function<void(const Progress&)> progress = {};
  std::function<void()> make_way = {};                ///< called before something is printed on a terminal
  std::function<unsigned()> stops_asked = {};         ///< how often somebody has asked to stop: 1 gently, 2 at once
  std::function<void(const std::string&)> tell = {};  ///< a line for people
};

struct Result {
  measure::Record record;
  base::ExitCode code = base::ExitCode::done;
};

/// Runs all commands on the other ranks, where there are any, else here. On the master, while the others serve().
/// Throws UsageError for what is wrong with the input or the files, before any command has been started where that can
/// be known.
[[nodiscard]] Result run(const comm::Session& session, measure::Account& account, const std::vector<std::string>& argv,
                         const Options& options, command::Helper& helper, const Surroundings& surroundings);
/// Runs what the master hands out, until it is told to leave.
void serve(const comm::Session& session, measure::Account& account, command::Helper& helper);

}  // namespace echelon::map
