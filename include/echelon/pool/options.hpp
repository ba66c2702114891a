#pragma once

#include <cstdint>
#include <optional>

#include <echelon/schedule/chunks.hpp>

namespace echelon::pool {

/// How the tasks of one call are given out. What is left out is the Pool's.
struct TaskOptions {
  std::optional<std::uint64_t> chunk = std::nullopt;          ///< tasks a message [as many as take about 1 ms]
  std::optional<schedule::Schedule> schedule = std::nullopt;  ///< chunk sizes, where the input's size is known; `chunk`
                                                              ///< is then the least size
  std::optional<std::uint64_t> prefetch = std::nullopt;       ///< chunks that wait on a worker behind the one that
                                                              ///< runs [1, and more while they are short]
  std::optional<unsigned> retries = std::nullopt;             ///< of a task that throws, elsewhere first [0]
  std::optional<unsigned> crash_limit = std::nullopt;         ///< crashes of a task before it is given up [2]
  std::optional<bool> isolate = std::nullopt;                 ///< each task in a process of its own, so that one that
                                                              ///< crashes kills no worker; 1 ms a task [no]
  std::optional<std::uint64_t> window = std::nullopt;         ///< imap: tasks that are read but whose results were
                                                              ///< not taken [4096, and fewer where they are large]
  std::optional<bool> stoppable = std::nullopt;               ///< a request to stop the run ends the call early, which
                                                              ///< then throws Stopped [true]
};

struct PoolOptions {
  bool master_works = false;  ///< the master's rank runs tasks too while it waits; always so where it is alone
  TaskOptions tasks = {};     ///< of calls that do not say otherwise
};

}  // namespace echelon::pool
