#pragma once

#include <cstdint>
#include <map>
#include <string>

#include <sys/types.h>

#include <echelon/base/files.hpp>

namespace echelon::base {

/// How a rank ended, as far as others can know.
struct Death {
  enum class How : std::uint8_t {
    unknown,        ///< its connection closed without a word: SIGKILL, _exit(), or its node went down
    signal,         ///< `number`
    status,         ///< it ended by itself, with exit status `number`
    out_of_memory,  ///< the kernel killed it, as its cgroup or host had no memory left
    stopped,        ///< it is still there, but stopped (SIGSTOP), for longer than a heartbeat
    silent,         ///< nothing was heard for longer than a heartbeat: it, its node or the network is stuck
  };
  How how = How::unknown;
  int number = 0;

  [[nodiscard]] bool operator==(const Death&) const = default;
};
/// As in "was killed by signal 11 (Segmentation fault)", for a sentence that begins with the rank.
[[nodiscard]] std::string describe(const Death& death);

/// Deaths as a rank that dies tells them itself, as numbers.
[[nodiscard]] std::uint64_t encode(const Death& death);
[[nodiscard]] Death decode_death(std::uint64_t code);

/// Finds out how processes of this host ended, which are not children of this one. Linux tells it from 6.15 on; before
/// that, only what the process itself could still say is known.
class DeathWatch {
 public:
  /// From now on, while the process is alive.
  void watch(int rank, pid_t process);
  /// It has ended, or was silent for too long. May wait a moment for the kernel. Unknown for ranks that are not
  /// watched.
  [[nodiscard]] Death ended(int rank);
  [[nodiscard]] Death silent(int rank) const;

 private:
  struct Process {
    pid_t pid;
    Descriptor pidfd;
  };
  std::map<int, Process> processes_;  // by rank
  std::uint64_t out_of_memory_kills_ = 0;
};

}  // namespace echelon::base
