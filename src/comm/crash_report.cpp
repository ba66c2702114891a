#include "crash_report.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <string_view>

#include <dlfcn.h>
#include <sys/socket.h>
#include <unistd.h>

#include <echelon/base/death.hpp>

#include "liveness_channel.hpp"

namespace echelon::comm {
namespace {

constexpr std::array reported{SIGSEGV, SIGBUS,  SIGFPE, SIGILL,  SIGABRT, SIGSYS,  SIGTRAP,
                              SIGTERM, SIGQUIT, SIGHUP, SIGALRM, SIGXCPU, SIGXFSZ, SIGVTALRM};

std::atomic<int> report_socket{-1};
pid_t reporting_process = 0;  // a child that it forks has its handlers, too
std::array<struct sigaction, reported.size()> before{};

void report(int signal) noexcept {
  const int socket = report_socket.load();
  if (socket >= 0 && getpid() == reporting_process) {
    const Frame frame{.kind = Frame::Kind::gave_up, .content = {base::encode({base::Death::How::signal, signal}), 0}};
    (void)send(socket, &frame, sizeof frame, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  for (std::size_t i = 0; i < reported.size(); ++i) {
    if (reported[i] == signal) sigaction(signal, &before[i], nullptr);
  }
  raise(signal);  // pending until this returns
}

/// By default, or what Open MPI does, which prints where it happened and then ends the process.
bool ends_process(const struct sigaction& action) {
  if ((action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_DFL) return true;
  Dl_info found{};
  return (action.sa_flags & SA_SIGINFO) != 0 && dladdr(reinterpret_cast<void*>(action.sa_sigaction), &found) != 0 &&
         std::string_view{found.dli_fname}.find("libopen-pal") != std::string_view::npos;
}

/// For a stack overflow, in which a handler finds no room on the thread's own.
void set_up_stack() {
  static std::array<std::byte, 32 << 10> memory;
  stack_t present{};
  if (sigaltstack(nullptr, &present) != 0 || (present.ss_flags & SS_DISABLE) == 0) return;
  const stack_t own{.ss_sp = memory.data(), .ss_flags = 0, .ss_size = memory.size()};
  sigaltstack(&own, nullptr);
}

}  // namespace

void report_crashes_to(int socket) noexcept {
  if (socket < 0 || report_socket.exchange(socket) >= 0 || reporting_process == getpid()) {
    report_socket = socket;
    return;
  }
  reporting_process = getpid();
  set_up_stack();
  struct sigaction action {};
  action.sa_handler = report;
  action.sa_flags = SA_ONSTACK;
  for (std::size_t i = 0; i < reported.size(); ++i) {
    if (sigaction(reported[i], nullptr, &before[i]) == 0 && ends_process(before[i])) {
      sigaction(reported[i], &action, nullptr);
    }
  }
}

}  // namespace echelon::comm
