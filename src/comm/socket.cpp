#include "socket.hpp"

#include <algorithm>
#include <climits>
#include <csignal>

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace echelon::comm {

Wakeup::Wakeup() : event_{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)} {
  if (!event_.is_open()) throw_errno("eventfd");
}

void Wakeup::signal() const noexcept {
  const std::uint64_t one = 1;
  // It fails only where it would overflow: then it is set anyway.
  [[maybe_unused]] const ssize_t ignored = write(fd(), &one, sizeof one);
}

void Wakeup::clear() const noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t ignored = read(fd(), &count, sizeof count);
}

void RunningClock::look() {
  const auto now = std::chrono::steady_clock::now();
  now_ += std::min(now - last_, longest_gap_);
  last_ = now;
}

std::thread start_thread(const char* name, void (*run)(void*), void* argument) {
  sigset_t all{};
  sigset_t before{};
  sigfillset(&all);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) sigdelset(&all, fault);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // inherited by the thread
  try {
    std::thread thread{run, argument};
    pthread_setname_np(thread.native_handle(), name);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return thread;
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
}

int poll_timeout(RunningClock::Duration time) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(time).count();
  return static_cast<int>(std::clamp<std::int64_t>(ms, 0, INT_MAX));
}

}  // namespace echelon::comm
