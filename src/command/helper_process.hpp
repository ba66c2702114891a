#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <echelon/command/helper.hpp>

/// What Helper and its process say to each other over a socket.
namespace echelon::command::detail {

enum class Kind : std::uint32_t { start, set_limit, end };

/// Begins each message to the process. A start has the `files` with it, and behind it `bytes` of text, each piece ended
/// by a NUL: the words or, where there are none of them, the line for the shell; then the environment.
struct Head {
  Kind kind{};
  std::uint32_t words = 0;
  std::uint32_t variables = 0;
  std::uint64_t bytes = 0;
  std::int64_t limit_ns = 0;  // 0: none
};

/// Its answer: what the text of Printed is made of comes behind it.
struct Answer {
  Report report;
  std::uint64_t output_bytes;  // of text
  std::uint64_t errors_bytes;
  std::uint64_t errors_end_bytes;
};

/// The process itself, until the other end of the socket is closed; then it has ended what it ran. Does not return.
[[noreturn]] void serve(int socket, const std::vector<std::string>& environment);

/// Keeps a serve() running, in a process of its own: a command may kill it, as its parent. Each byte on `socket` is
/// answered by the socket of a new one, of which the last has ended. Until `socket` is closed. Does not return.
[[noreturn]] void guard(int socket, const std::vector<std::string>& environment);

/// For a process that lives for commands alone: of what its parent has it keeps `socket`, and signals do not reach it.
void settle_down(const char* name, int socket);
/// Kills all descendants, until none is left or `longest_killing` is over.
void kill_descendants();
/// After which a process that does not die, as in the middle of a dead file server's answer, is left alone.
inline constexpr std::chrono::seconds longest_killing{5};
/// Between two rounds of killing: who starts others faster than it is killed meets several.
inline constexpr std::chrono::milliseconds between_kills{10};

}  // namespace echelon::command::detail
