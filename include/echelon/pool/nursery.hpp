#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include <sys/types.h>

#include <echelon/comm/packing.hpp>

namespace echelon::pool::detail {

struct TasksHead;
struct Assignment;

/// How a process that ran one task ended without a result.
struct Ended {
  std::int32_t signal = 0;  ///< that killed it; 0: none did
  std::int32_t status = 0;  ///< with which it ended otherwise; -1: it could not be started, or nobody can tell
};

/// What became of the processes that ran one task and brought no result.
struct OwnProcesses {
  unsigned crashes = 0;            ///< that count against the task
  Ended last;                      ///< of these
  std::optional<Ended> undecided;  ///< one that does not count
};

/// Why a task was given up after `crashes` of workers and processes of its own, in one line. `death`: how the last of
/// the workers died, as base::describe() says it; empty if that was another's.
[[nodiscard]] std::string why_given_up(unsigned crashes, const OwnProcesses& own, std::string_view death,
                                       bool nobody_is_left);

/// A process that runs single tasks for this rank, each in a child of its own, so that a task which crashes takes
/// nothing along. It is a copy of the program as it is before MPI starts, as a process with MPI in it must not fork,
/// and before there are threads. It sleeps until it is asked, and ends with its rank, however that ends.
///
/// The rank's own wait() does not see it, nor is there a SIGCHLD: the program may have children that it waits for.
class Nursery {
 public:
  /// nullptr where there are threads already, or the system refuses.
  [[nodiscard]] static std::unique_ptr<Nursery> start();
  ~Nursery();
  Nursery(const Nursery&) = delete;
  Nursery& operator=(const Nursery&) = delete;

  /// Runs the one task of `head.chunk`, and waits for it. Returns a message to the master: its result, what it threw,
  /// or how its process ended without any.
  [[nodiscard]] comm::Packer run(const TasksHead& head, std::span<const std::byte> function,
                                 std::span<const std::byte> argument);

 private:
  Nursery(int socket, pid_t pid, pid_t rank) : socket_{socket}, pid_{pid}, rank_{rank} {}
  [[nodiscard]] std::variant<comm::Bytes, Ended> run(const Assignment& assignment, std::span<const std::byte> function,
                                                     std::span<const std::byte> argument);
  [[nodiscard]] std::variant<comm::Bytes, Ended> receive(int task);

  int socket_;  // -1 where the process is gone
  pid_t pid_;
  pid_t rank_;
};

}  // namespace echelon::pool::detail
