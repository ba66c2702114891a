#pragma once

#include <cstdint>
#include <string>

#include <echelon/comm/packing.hpp>
#include <echelon/farm/tasks.hpp>

#include "spool.hpp"

/// What the master and its workers say to each other. Each message begins with its kind.
namespace echelon::map {

enum class ToWorker : std::uint8_t {
  tasks,    ///< a farm::Chunk, and of each of its tasks a TaskText
  limit,    ///< double: seconds that commands may run from now on, the running one included
  end_now,  ///< ends the running command, and starts no other
  fetch,    ///< Fetch, answered by a piece
  release,  ///< std::uint64_t: the output of the task of that sequence is not needed any more
  books,    ///< answered by books
  leave,    ///< bool: some rank was lost
};

enum class ToMaster : std::uint8_t {
  ended,  ///< Ended, strings `host` and `reason` of its Ending, and where `is_whole` all bytes of both outputs
  piece,  ///< the Fetch that it answers, and the bytes
  books,  ///< measure::Books
};

struct TaskText {
  std::uint64_t number = 0;  // in the list, from 1
  std::uint32_t attempt = 1;
  std::string line;
};

/// How a command ended, as it travels; the rest of a farm::Ending is text, or known to the master.
struct Ended {
  farm::Tasks task;
  std::uint64_t sequence;
  double started_at;
  double wall_s;
  double cpu_s;
  std::uint64_t max_rss_bytes;
  std::uint64_t output_bytes;
  std::uint64_t errors_bytes;
  int exit_code;
  int signal;
  bool timed_out;
  bool ended_on_request;
  bool output_lost;  // it could not be kept; what is in the message is the end of standard error
  bool is_whole;     // its outputs are in the message; else they are fetched, or on one machine opened here:
  OpenFile output;
  OpenFile errors;
};

struct Fetch {
  std::uint64_t sequence;
  std::uint64_t offset;
  std::uint64_t bytes;
  bool errors;  // of standard error
};

/// Outputs that are long stay with the worker; another machine's are fetched in pieces of so many.
inline constexpr std::uint64_t piece_bytes = 1 << 20;

}  // namespace echelon::map
