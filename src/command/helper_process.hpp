#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <echelon/command/helper.hpp>

/// What Helper and its process say to each other over a socket.
namespace echelon::command::detail {

enum class Kind : std::uint32_t { start, set_limit, end };

/// Begins each message to the process. A start has the two descriptors with it, and behind it `bytes` of text, each
/// piece ended by a NUL: the words or, where there are none of them, the line for the shell; then the environment.
struct Head {
  Kind kind{};
  std::uint32_t words = 0;
  std::uint32_t variables = 0;
  std::uint64_t bytes = 0;
  std::int64_t limit_ns = 0;  // 0: none
};

/// The process itself, until the other end of the socket is closed. Does not return.
[[noreturn]] void serve(int socket, std::vector<std::string> environment);

}  // namespace echelon::command::detail
