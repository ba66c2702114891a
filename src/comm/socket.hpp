#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <echelon/base/files.hpp>
#include <echelon/comm/liveness.hpp>

namespace echelon::comm {

using base::Descriptor;

/// Lets one thread end another's epoll_wait or poll.
class Wakeup {
 public:
  Wakeup();
  [[nodiscard]] int fd() const noexcept { return event_.get(); }
  void signal() const noexcept;
  void clear() const noexcept;

 private:
  Descriptor event_;
};

/// Time as far as its owner was running: of the time between two looks at most `longest_gap` counts. Where the process
/// was stopped, or the machine asleep, nobody else is to blame for the rest.
class RunningClock {
 public:
  using Duration = std::chrono::steady_clock::duration;

  explicit RunningClock(Duration longest_gap) : longest_gap_{longest_gap} {}
  void look();
  [[nodiscard]] Duration now() const noexcept { return now_; }

 private:
  Duration longest_gap_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  Duration now_{0};
};

/// std::system_error of errno.
[[noreturn]] void throw_errno(const std::string& call);

/// A thread that no signal is delivered to (the program's handlers run elsewhere) but those that its own faults raise.
[[nodiscard]] std::thread start_thread(const char* name, void (*run)(void*), void* argument);

/// For poll and epoll_wait: rounded up, so that nobody wakes too early and goes round once more.
[[nodiscard]] int poll_timeout(RunningClock::Duration time);

/// On a free port of all addresses, IPv6 and IPv4, or IPv4 alone where there is no IPv6. Non-blocking.
[[nodiscard]] Descriptor listen_everywhere();
/// On a free port of the loopback address, where other hosts cannot connect. Non-blocking.
[[nodiscard]] Descriptor listen_within_host();
[[nodiscard]] std::uint16_t port_of(const Descriptor& socket);

/// This host's addresses that other hosts may know.
[[nodiscard]] std::vector<LivenessInvitation::Address> own_addresses();
[[nodiscard]] LivenessInvitation::Address loopback() noexcept;
/// Of two processes with the same name, each reaches the other on the loopback address.
[[nodiscard]] std::string loopback_name();

[[nodiscard]] std::string to_string(const LivenessInvitation::Address& address);

/// Of a non-blocking socket, on its way to being connected; not open where that failed at once, with errno set.
[[nodiscard]] Descriptor start_connecting(const LivenessInvitation::Address& address, std::uint16_t port);
/// 0, or why a socket has not been connected (an errno).
[[nodiscard]] int connect_error(const Descriptor& socket) noexcept;
/// Small messages leave at once.
void set_no_delay(const Descriptor& socket) noexcept;

}  // namespace echelon::comm
