#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <typeindex>
#include <utility>
#include <variant>
#include <vector>

namespace echelon::pool {

/// A task has no result: its function threw on another rank, or the workers that ran it died.
class TaskError : public std::exception {
 public:
  TaskError(std::uint64_t index, int rank, std::string host, std::string type, std::string message, unsigned attempts);

  std::uint64_t index;  ///< of the task, in the order of the input
  int rank;             ///< that ran it last; -1 where none is left to say so
  std::string host;     ///< of that rank
  /// Of what was thrown, as in "std::out_of_range"; "worker lost" if workers died over it, "crashed" if only processes
  /// of its own did. The message then says how.
  std::string type;
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

/// How far a call had come when the run was asked to stop.
struct StoppedAt {
  int signal = 0;                                     ///< by which it was asked; 0: by request_stop()
  std::uint64_t done = 0;                             ///< tasks that ended, well or not
  std::optional<std::uint64_t> tasks = std::nullopt;  ///< of the call, where that is known
};

/// The run was asked to stop (Session::stop_requested()), and a call ended before all of its tasks were done. A copy
/// has the same results.
class Stopped : public std::runtime_error {
 public:
  template <typename Value>
  Stopped(const StoppedAt& where, std::vector<std::optional<Value>> results, std::vector<TaskError> failed)
      : std::runtime_error{text(where)},
        at{where},
        errors{std::move(failed)},
        results_{std::make_shared<std::vector<std::optional<Value>>>(std::move(results))},
        type_{typeid(Value)} {}

  StoppedAt at;
  std::vector<TaskError> errors;  ///< of the tasks that failed

  /// The results that are there, each in the place of its task; of imap and imap_unordered those that could not be
  /// given in their place any more. R is what the task returns, and std::monostate of one that returns nothing; another
  /// one is std::logic_error.
  template <typename R>
  [[nodiscard]] auto& results() const {
    using Value = std::conditional_t<std::is_void_v<R>, std::monostate, std::remove_cvref_t<R>>;
    if (type_ != typeid(Value)) throw std::logic_error("Stopped::results<R>: R is not what the task returns");
    return *static_cast<std::vector<std::optional<Value>>*>(results_.get());
  }

 private:
  static std::string text(const StoppedAt& where);

  std::shared_ptr<void> results_;
  std::type_index type_;
};

}  // namespace echelon::pool
