#pragma once

#include <chrono>
#include <thread>

#include <echelon/base/files.hpp>
#include <echelon/base/sockets.hpp>
#include <echelon/comm/liveness.hpp>

namespace echelon::comm {

using base::connect_error;
using base::Descriptor;
using base::listen_everywhere;
using base::listen_within_host;
using base::loopback;
using base::loopback_name;
using base::own_addresses;
using base::port_of;
using base::set_no_delay;
using base::start_connecting;
using base::throw_errno;
using base::to_string;

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

/// A thread that no signal is delivered to (the program's handlers run elsewhere) but those that its own faults raise.
[[nodiscard]] std::thread start_thread(const char* name, void (*run)(void*), void* argument);

/// For poll and epoll_wait: rounded up, so that nobody wakes too early and goes round once more.
[[nodiscard]] int poll_timeout(RunningClock::Duration time);

}  // namespace echelon::comm
