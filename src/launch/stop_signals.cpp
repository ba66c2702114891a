#include "stop_signals.hpp"

#include <ctime>

namespace echelon::launch {
namespace {

volatile sig_atomic_t requests = 0;
volatile sig_atomic_t last = 0;
timespec last_at{};  // of the handler alone, which the other signals do not interrupt

void count(int signal) {
  constexpr long long repeated_ns = 100'000'000;
  constexpr long long handed_on_ns = 1'000'000'000;
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const long long since_ns = (now.tv_sec - last_at.tv_sec) * 1'000'000'000LL + (now.tv_nsec - last_at.tv_nsec);
  const bool insists = signal == SIGINT || signal == SIGTERM || signal == SIGUSR2;
  const long long same_ns = signal == last ? repeated_ns : last == SIGUSR1 ? handed_on_ns : 0;
  if (requests != 0 && (!insists || since_ns < same_ns)) return;
  last_at = now;
  last = signal;
  requests = requests == 0 ? 1 : 2;
}

}  // namespace

void count_stop_signals() noexcept {
  struct sigaction action {};
  action.sa_handler = count;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  for (const int signal : stop_signals) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);  // nohup's stays
  }
}

int counted_stop_signals() noexcept { return requests; }
int last_stop_signal() noexcept { return last; }

}  // namespace echelon::launch
