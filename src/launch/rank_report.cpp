#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <echelon/launch/rank_report.hpp>

#include "watch_place.hpp"

namespace echelon::launch {
namespace {

using base::Descriptor;

int connection = -1;  // stays open until this process ends

/// To all of the starter's addresses at once, since some may not be known to this host's network: the first that
/// answers is taken.
Descriptor connect_to(const WatchPlace& place) {
  constexpr std::chrono::seconds limit{3};
  const auto end = std::chrono::steady_clock::now() + limit;
  std::vector<base::Address> addresses = place.addresses;
  if (place.host == base::loopback_name()) addresses.assign(1, base::loopback());
  std::vector<Descriptor> tries;
  std::vector<pollfd> polled;
  for (const base::Address& address : addresses) {
    Descriptor one = base::start_connecting(address, place.port);
    if (!one.is_open()) continue;
    polled.push_back({one.get(), POLLOUT, 0});
    tries.push_back(std::move(one));
  }
  if (tries.empty()) return {};
  for (auto now = std::chrono::steady_clock::now(); now < end; now = std::chrono::steady_clock::now()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - now).count();
    if (poll(polled.data(), polled.size(), static_cast<int>(left)) < 0 && errno != EINTR) break;
    bool any_left = false;
    for (std::size_t i = 0; i < tries.size(); ++i) {
      if (polled[i].revents != 0 && base::connect_error(tries[i]) == 0) return std::move(tries[i]);
      if (polled[i].revents != 0) polled[i].fd = -1;  // which poll() passes over
      any_left = any_left || polled[i].fd >= 0;
    }
    if (!any_left) break;
  }
  return {};
}

/// False if it could not be sent whole. Waits only for a starter that was stopped.
bool send_whole(std::string_view line) noexcept {
  constexpr int limit_ms = 5000;
  while (connection >= 0 && !line.empty()) {
    const ssize_t size = send(connection, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size >= 0) {
      line.remove_prefix(static_cast<std::size_t>(size));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      pollfd room{connection, POLLOUT, 0};
      if (poll(&room, 1, limit_ms) <= 0) return false;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return line.empty();
}

template <typename... Values>
bool say(std::string_view word, const Values&... values) noexcept {
  try {
    std::string line{word};
    (line.append(fmt::format(" {}", values)), ...);
    return send_whole(line + '\n');
  } catch (const std::exception&) {
    return false;  // no memory for a line
  }
}

}  // namespace

/// The launcher has what its ranks print in pipes of its own, and standard output of Open MPI 4 in a terminal of its
/// own, by which it comes line by line.
void print_past_launcher() noexcept {
  const char* const is_child = std::getenv(direct_variable);
  if (is_child == nullptr || is_child != std::string_view{"1"}) return;
  for (const int descriptor : {STDOUT_FILENO, STDERR_FILENO}) {
    std::array<char, 64> path{};
    std::snprintf(path.data(), path.size(), "/proc/%d/fd/%d", getppid(), descriptor);
    struct stat file {};
    if (stat(path.data(), &file) != 0 || !S_ISFIFO(file.st_mode)) return;
    const Descriptor direct{open(path.data(), O_WRONLY | O_CLOEXEC)};
    if (!direct.is_open()) return;
    (void)fcntl(descriptor, F_DUPFD_CLOEXEC, 0);  // stays open: at their end mpirun would close the input as well
    dup2(direct.get(), descriptor);
  }
  setvbuf(stdout, nullptr, _IOLBF, 0);
}

std::string WatchPlace::text() const {
  std::string result = fmt::format("{},{}", port, host);
  for (const base::Address& address : addresses) result += ',' + base::to_string(address);
  return result;
}

std::optional<WatchPlace> WatchPlace::parse(std::string_view text) {
  WatchPlace place;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), place.port);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (error != std::errc{} || !text.starts_with(',')) return std::nullopt;
  for (std::size_t i = 0; !text.empty(); ++i) {
    text.remove_prefix(1);
    const std::string word{text.substr(0, text.find(','))};
    text.remove_prefix(word.size());
    if (i == 0) {
      place.host = word;
    } else if (const auto address = base::parse_address(word)) {
      place.addresses.push_back(*address);
    }
  }
  return place;
}

void tell_begun(int rank) noexcept {
  const char* const where = std::getenv(watch_variable);
  const char* const token = std::getenv(launched_variable);
  if (connection >= 0 || where == nullptr || token == nullptr) return;
  try {
    const std::optional<WatchPlace> place = WatchPlace::parse(where);
    if (!place) return;
    const Descriptor connected = connect_to(*place);
    if (!connected.is_open()) return;
    connection = fcntl(connected.get(), F_DUPFD_CLOEXEC, 0);
    // A process that is forked from this one must not keep it open.
    pthread_atfork(nullptr, nullptr, [] {
      if (connection >= 0) close(std::exchange(connection, -1));
    });
    (void)on_exit([](int status, void*) { (void)say(word::exits, status & 0xff); }, nullptr);
    std::array<char, HOST_NAME_MAX + 1> host{};
    gethostname(host.data(), host.size() - 1);
    (void)say(word::begun, token, rank, getpid(), host.data(), base::loopback_name());
  } catch (const std::exception&) {
    // Nobody watches over this rank's start then, which is no reason not to start.
  }
}

void tell_started() noexcept { (void)say(word::started); }

void tell_outcome(int status) noexcept { (void)say(word::outcome, status & 0xff); }

bool tell_reason(std::string_view why) noexcept {
  try {
    std::string text{why.substr(0, longest_reason)};
    std::ranges::replace(text, '\n', line_break);
    return say(word::reason, text);
  } catch (const std::exception&) {
    return false;
  }
}

void tell_abort(int status, bool is_explained) noexcept {
  (void)say(word::aborts, status & 0xff, is_explained ? 1 : 0);
}

int tell_out_of_reach() noexcept { return say(word::out_of_reach) ? connection : -1; }

}  // namespace echelon::launch
