#pragma once

#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>

namespace echelon::pool {

/// A task has no result: its function threw on another rank, or the workers that ran it died.
class TaskError : public std::exception {
 public:
  TaskError(std::uint64_t index, int rank, std::string host, std::string type, std::string message, unsigned attempts);

  std::uint64_t index;  ///< of the task, in the order of the input
  int rank;             ///< that ran it last; -1 where none is left to say so
  std::string host;     ///< of that rank
  std::string type;     ///< of what was thrown, as in "std::out_of_range"; "worker lost" where workers died over it, "crashed" where
                        ///< only processes of its own did; the message then says how
  std::string message;  ///< what() of what was thrown; empty where it has none
  unsigned attempts;

  /// All of this in one line.
  [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

/// No worker is left to do what is to be done, and the master's rank cannot do it in processes of its own (Pool).
class WorkersLost : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A result did not come within the time that was given for it. Its task goes on.
class TimeoutError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace echelon::pool
