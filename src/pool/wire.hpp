#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <echelon/comm/packing.hpp>
#include <echelon/farm/tasks.hpp>
#include <echelon/pool/task_type.hpp>

/// What the master and its workers say to each other. Each message begins with its kind.
namespace echelon::pool::detail {

enum class ToWorker : std::uint8_t { tasks, forget, books, pool_ended, leave };
enum class ToMaster : std::uint8_t { results, books, crashed, leaves };  // crashed: a farm::Tasks of one, and an Ended

/// Begins a message of tasks. After it: the function's bytes where it is carried, then the arguments.
struct TasksHead {
  farm::Chunk chunk;
  std::uint64_t function_bytes;
  std::uint64_t argument_size;  // of each; `varies` where each begins with its own
  CodeAddress type;
  bool has_function;
  bool once;  // no other task of this job comes: forget its function
};
inline constexpr std::uint64_t varies = ~std::uint64_t{0};

/// Takes the next task's off the arguments, with its own size where they vary.
inline std::span<const std::byte> take_argument(std::span<const std::byte>& arguments, std::uint64_t size) {
  if (size == varies) {
    comm::Unpacker from{arguments};
    size = from.get<std::uint64_t>() + sizeof(std::uint64_t);
  }
  const auto taken = arguments.first(size);
  arguments = arguments.subspan(size);
  return taken;
}

/// Begins each part of a message of results. After it: the results' bytes, or a Failure.
struct ResultsHead {
  farm::Tasks tasks;
  std::int64_t ns;
  std::uint64_t bytes;
  bool failed;
};

/// What a task threw.
struct Failure {
  std::string type;
  std::string message;
};

}  // namespace echelon::pool::detail
