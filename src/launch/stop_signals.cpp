#include "stop_signals.hpp"

#include <cerrno>
#include <cstdint>
#include <ctime>

#include <sys/eventfd.h>
#include <unistd.h>

namespace echelon::launch {
namespace {

volatile sig_atomic_t requests = 0;
volatile sig_atomic_t last = 0;
volatile sig_atomic_t news = -1;  // an eventfd
volatile sig_atomic_t are_handed_on = 0;
timespec last_at{};  // of the handler alone, which the other signals do not interrupt

void count(int signal) {
  constexpr long long repeated_ns = 100'000'000;
  constexpr long long handed_on_ns = 1'000'000'000;
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const long long since_ns = (now.tv_sec - last_at.tv_sec) * 1'000'000'000LL + (now.tv_nsec - last_at.tv_nsec);
  const bool insists = signal == SIGINT || signal == SIGTERM || signal == SIGUSR2;
  const bool may_be_both = are_handed_on != 0 && last == SIGUSR1 && signal != SIGUSR2;
  const long long same_ns = signal == last ? repeated_ns : may_be_both ? handed_on_ns : 0;
  if (requests != 0 && (!insists || since_ns < same_ns)) return;
  last_at = now;
  last = signal;
  requests = requests == 0 ? 1 : 2;
  const int errno_before = errno;
  const std::uint64_t one = 1;
  if (news >= 0) (void)!write(news, &one, sizeof(one));
  errno = errno_before;
}

}  // namespace

void take_over_stop_signals(const struct sigaction& action, TakeOver which) noexcept {
  for (const int signal : stop_signals) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    const bool has_handler = (before.sa_flags & SA_SIGINFO) != 0 || before.sa_handler != SIG_DFL;
    if (before.sa_handler == SIG_IGN || (which == TakeOver::defaults && has_handler)) continue;
    sigaction(signal, &action, nullptr);
  }
}

void count_stop_signals(TakeOver which) noexcept {
  if (news < 0) news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct sigaction action {};
  action.sa_handler = count;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  take_over_stop_signals(action, which);
}

void release_stop_signals() noexcept {
  for (const int number : stop_signals) {
    struct sigaction now {};
    sigaction(number, nullptr, &now);
    if ((now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == count) signal(number, SIG_DFL);
  }
}

void expect_handed_on_signals() noexcept { are_handed_on = 1; }

int counted_stop_signals() noexcept { return requests; }
int last_stop_signal() noexcept { return last; }
int stop_signals_descriptor() noexcept { return news; }

void clear_stop_signals_descriptor() noexcept {
  std::uint64_t count = 0;
  if (news >= 0) (void)!read(news, &count, sizeof(count));
}

}  // namespace echelon::launch
