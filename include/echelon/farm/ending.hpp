#pragma once

#include <cstdint>
#include <string>

namespace echelon::farm {

/// How a command ended that was a task.
struct Ending {
  std::uint64_t task = 0;  ///< its number in the list, from 0
  std::string host;
  int rank = -1;          ///< -1 where none is left to say so
  double started_at = 0;  ///< seconds since 1970
  double wall_s = 0;
  double cpu_s = 0;                 ///< of the command and all its children
  std::uint64_t max_rss_bytes = 0;  ///< of the largest of them
  int exit_code = 0;
  int signal = 0;  ///< that killed it; 0: none did
  bool timed_out = false;
  bool output_lost = false;  ///< what it printed could not be kept, whatever it did itself
  unsigned attempts = 1;
  std::uint64_t output_bytes = 0;  ///< on standard output
  std::string reason;              ///< where it failed: the last line on standard error, or why it never ran

  [[nodiscard]] bool is_good() const noexcept {
    return exit_code == 0 && signal == 0 && !timed_out && !output_lost && rank >= 0;
  }
  friend bool operator==(const Ending&, const Ending&) = default;
};

}  // namespace echelon::farm
