#pragma once

#include <csignal>
#include <cstdint>

#include <sys/types.h>

#include "wire.hpp"

/// What Nursery and its process say to each other.
namespace echelon::pool::detail {

/// For each task the process is sent a byte, and with it one end of a socket for this task alone. There its child
/// receives the Assignment, and behind it the function and the argument; it sends the size of its message to the master
/// (std::uint64_t), and the message. When the child has ended, the process says how (Ended).
struct Assignment {
  TasksHead head;
  std::uint64_t argument_bytes;
};

/// The process, until the other end of the socket is closed or `rank` has ended. `signals`: what tasks have blocked.
[[noreturn]] void live_in_nursery(int socket, pid_t rank, const sigset_t& signals);

}  // namespace echelon::pool::detail
