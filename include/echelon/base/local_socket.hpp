#pragma once

#include <cstddef>
#include <span>

/// Bytes and descriptors over a local socket (AF_UNIX, SOCK_STREAM) between two processes of one program.
namespace echelon::base {

/// The most descriptors that travel together.
inline constexpr std::size_t most_descriptors = 250;  // Linux takes 253

/// Sends all of it; false where the other end is gone. `descriptors` travel with the first byte.
[[nodiscard]] bool send_all(int socket, const void* from, std::size_t size, std::span<const int> descriptors = {});
/// Receives all of it, and as many descriptors, which are closed by exec; one that did not come stays as it was.
[[nodiscard]] bool receive_all(int socket, void* to, std::size_t size, std::span<int> descriptors = {});

}  // namespace echelon::base
