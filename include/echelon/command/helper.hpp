#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace echelon::command {

/// A command, and what it is given. Standard input is empty.
struct Request {
  std::string line;                      ///< run as a program of its own where it needs no shell, else by /bin/sh
  std::vector<std::string> environment;  ///< "NAME=value", added to the helper's
  int output = -1;                       ///< empty files for what it prints, where that is much; -1: there are none
  int errors = -1;
  std::optional<std::chrono::nanoseconds> limit{};  ///< of time
};

/// How it ended.
struct Report {
  int exit_code = 0;
  int signal = 0;  ///< that killed it; 0: none did
  bool timed_out = false;
  bool ended_on_request = false;  ///< by Helper::end()
  double started_at = 0;          ///< seconds since 1970
  std::chrono::nanoseconds wall{0};
  std::chrono::nanoseconds cpu{0};  ///< of the command and all its children
  /// Of the largest of them; never below the helper's own, some MiB, from which the system counts.
  std::uint64_t max_rss_bytes = 0;
  int start_error = 0;  ///< errno, where it could not be started at all; exit_code is then 126 or 127, as of a shell
  int write_error = 0;  ///< errno, where what it printed could not be kept; it was ended then, and the files are empty
  bool runner_was_killed = false;  ///< the process that ran it, by itself perhaps; what it printed is lost
  bool is_in_files = false;        ///< what it printed, else it is in Helper::printed()
  std::uint64_t output_bytes = 0;
  std::uint64_t errors_bytes = 0;
};

/// What a command printed, as far as that is kept in memory.
struct Printed {
  std::string output;  ///< both are empty where all is in the files
  std::string errors;
  std::string errors_end;  ///< the end of standard error, whatever became of the rest
};

/// A process that runs commands for this one, one at a time, and takes what they print. It is forked before MPI starts,
/// as a process with MPI in it must not fork, and before there are threads; by a process of its own, which forks
/// another where it is killed.
///
/// Each command has a process group of its own. When its first process has ended, or its time is over, what is left of
/// it is told to end (TERM), and killed after `patience`, wherever it has put itself: nothing that a command has
/// started outlives it, nor this process, however that ends.
class Helper {
 public:
  static constexpr std::chrono::milliseconds patience{1000};

  /// `environment`: of all commands.
  explicit Helper(const std::vector<std::string>& environment);
  ~Helper();
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

  /// @pre no command runs. Throws std::runtime_error where nobody is left to run it, as ended() does.
  void start(const Request& request);
  /// Becomes readable when the command has ended.
  [[nodiscard]] int descriptor() const noexcept { return socket_; }
  /// How the command ended, once it has. Does not wait.
  [[nodiscard]] std::optional<Report> ended();
  /// Of the command that has ended.
  [[nodiscard]] const Printed& printed() const noexcept { return printed_; }
  /// Another limit, counted from the command's start; it may be over.
  void set_limit(std::chrono::nanoseconds limit);
  /// Ends the running command: now told to, killed after `patience`.
  void end();
  [[nodiscard]] pid_t pid() const noexcept { return guard_; }

 private:
  void next_runner();
  [[noreturn]] void has_gone() const;

  pid_t guard_ = -1;
  int to_guard_ = -1;
  int socket_ = -1;  // to who runs commands
  Printed printed_;
};

}  // namespace echelon::command
