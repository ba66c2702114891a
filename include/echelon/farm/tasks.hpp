#pragma once

#include <cstdint>

namespace echelon::farm {

using JobId = std::uint64_t;

/// Tasks [first, first + count) of one job; tasks of a job are numbered from 0 in the order of its input.
struct Tasks {
  JobId job = 0;
  std::uint64_t first = 0;
  std::uint64_t count = 0;

  [[nodiscard]] std::uint64_t end() const noexcept { return first + count; }
  friend bool operator==(const Tasks&, const Tasks&) = default;
};

/// Tasks that travel to a worker together. All tasks that a worker is ever sent are numbered by `sequence`, without
/// gaps: the first of this chunk has that number.
struct Chunk {
  Tasks tasks;
  std::uint64_t sequence = 0;
  bool careful = false;  ///< one task that was lost with its worker, and may be the cause: nothing else is sent with it
  bool isolated = false;  ///< each of its tasks runs in a process of its own, where the worker can

  friend bool operator==(const Chunk&, const Chunk&) = default;
};

}  // namespace echelon::farm
