#include "stop_watch.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/base/number.hpp>

namespace echelon::app {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr double default_grace_s = 30;
constexpr double longest_grace_s = 1e9;  // which a clock can still add to now
/// What has ended by then needs no word.
constexpr std::chrono::seconds before_a_word{1};

std::string name_of(int signal) {
  const char* const name = sigabbrev_np(signal);
  return name == nullptr ? "a signal" : name;
}

/// Past stdio, in which the program's own thread may be busy.
void say(const std::string& what) {
  const std::string line = fmt::format("echelon: {}\n", what);
  (void)!write(STDERR_FILENO, line.data(), line.size());
}

void block_signals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

int milliseconds_until(std::optional<Clock::time_point> limit) {
  if (!limit) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*limit - Clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
}

}  // namespace

double grace_s() {
  const char* text = std::getenv(launch::grace_variable);
  if (text == nullptr) return default_grace_s;
  try {
    return std::min(base::parse_seconds(text), longest_grace_s);
  } catch (const base::UsageError& e) {
    throw base::UsageError(fmt::format("{}: {}", launch::grace_variable, e.what()));
  }
}

StopWatch::StopWatch(const comm::Session& session, std::function<void()> end_others)
    : session_{session},
      end_others_{std::move(end_others)},
      grace_s_{app::grace_s()},
      wake_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)},
      thread_{[this] { run(); }} {}

StopWatch::~StopWatch() {
  leaving_ = true;
  wake();
  thread_.join();  // once the callbacks have ended: until then a second request still ends the run
}

void StopWatch::wake() const noexcept {
  const std::uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof(one));
}

void StopWatch::call_back(int signal) {
  calling_ = true;
  callbacks_ = std::thread{[this, signal] {
    block_signals();
    session_.request_stop(signal);
    calling_ = false;
    wake();
  }};
}

void StopWatch::run() {
  block_signals();
  std::optional<Clock::time_point> word_at;
  std::optional<Clock::time_point> end_at;
  for (;;) {
    requests_.wait(wake_.get(), milliseconds_until(word_at ? word_at : end_at));
    std::uint64_t ignored = 0;
    (void)!read(wake_.get(), &ignored, sizeof(ignored));
    if (leaving_ && !calling_) break;
    const int count = requests_.count();
    const auto now = Clock::now();
    if (count >= 2 || (end_at && now >= *end_at)) end_run();
    if (count >= 1 && !end_at) {
      word_at = now + before_a_word;
      end_at = now + std::chrono::duration_cast<Clock::duration>(Seconds{grace_s_});
      call_back(requests_.signal());
    }
    if (word_at && now >= *word_at) {
      word_at.reset();
      say(fmt::format("stopping, as {} asks: what runs has {:.4g} s to end; a second signal ends it at once",
                      name_of(requests_.signal()), grace_s_));
    }
  }
  if (callbacks_.joinable()) callbacks_.join();
}

void StopWatch::end_run() {
  const int signal = requests_.signal() == 0 ? SIGTERM : requests_.signal();
  if (requests_.count() < 2) {
    say(fmt::format("the {:.4g} s to stop after {} are over; the run ends", grace_s_, name_of(signal)));
  } else if (!requests_.is_starter_gone()) {
    say(fmt::format("a second signal, {}: the run ends at once", name_of(signal)));
  }
  end_others_();
  // As any program that a signal ends.
  ::signal(signal, SIG_DFL);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
  raise(signal);
  _exit(static_cast<int>(base::ExitCode::broken));
}

}  // namespace echelon::app
