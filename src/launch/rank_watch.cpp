#include "rank_watch.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sstream>
#include <system_error>
#include <utility>

#include <sys/epoll.h>
#include <sys/socket.h>

#include <echelon/base/sockets.hpp>

#include "watch_place.hpp"

namespace echelon::launch {
namespace {

/// Connections that are none of a rank's; more are closed at once.
constexpr std::size_t most_strangers = 64;
constexpr std::size_t longest_told = longest_reason + 512;

}  // namespace

RankWatch::RankWatch(int ranks, std::string token, bool within_host)
    : token_{std::move(token)},
      ranks_(static_cast<std::size_t>(ranks)),
      own_loopback_{base::loopback_name()},
      events_{epoll_create1(EPOLL_CLOEXEC)} {
  try {
    listener_ = within_host ? base::listen_within_host() : base::listen_everywhere();
    if (!watch(listener_.get())) base::throw_errno("epoll_ctl");
    WatchPlace place{.port = base::port_of(listener_), .host = own_loopback_, .addresses = {}};
    if (!within_host) place.addresses = base::own_addresses();
    place_ = place.text();
  } catch (const std::system_error&) {
    stop_listening();  // a host without a network
  }
}

void RankWatch::stop_listening() {
  // More than closing it: a child process may have been forked meanwhile and hold the socket as well.
  if (listener_.is_open()) shutdown(listener_.get(), SHUT_RDWR);
  listener_.reset();
}

bool RankWatch::watch(int descriptor) const {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = descriptor;
  return epoll_ctl(events_.get(), EPOLL_CTL_ADD, descriptor, &event) == 0;
}

void RankWatch::step() {
  std::array<epoll_event, 64> events{};
  const int count = epoll_wait(events_.get(), events.data(), events.size(), 0);
  for (int i = 0; i < count; ++i) {
    const int descriptor = events.at(static_cast<std::size_t>(i)).data.fd;
    if (descriptor == listener_.get()) {
      accept_all();
    } else if (const auto found = connections_.find(descriptor); found != connections_.end() && !read(found->second)) {
      end(found->second);
      connections_.erase(found);
    }
  }
  if (have_started_) stop_listening();
}

void RankWatch::accept_all() {
  for (;;) {
    base::Descriptor socket{accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (!socket.is_open()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      // Without descriptors for more, who comes later is as who cannot come: nothing is known of that rank.
      if (errno != EAGAIN && errno != EWOULDBLOCK) stop_listening();
      return;
    }
    if (connections_.size() >= ranks_.size() + most_strangers || !watch(socket.get())) continue;
    const int descriptor = socket.get();
    connections_.emplace(descriptor, Connection{.socket = std::move(socket)});
  }
}

/// False: the connection is at its end.
bool RankWatch::read(Connection& connection) {
  std::array<char, 4096> buffer{};
  ssize_t size = 0;
  while ((size = recv(connection.socket.get(), buffer.data(), buffer.size(), 0)) > 0) {
    connection.unread.append(buffer.data(), static_cast<std::size_t>(size));
    for (std::size_t end = 0; (end = connection.unread.find('\n')) != std::string::npos;) {
      if (!take(connection, connection.unread.substr(0, end))) return false;
      connection.unread.erase(0, end + 1);
    }
    if (connection.unread.size() > longest_told) return false;
  }
  return size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

/// False: this is not how a rank talks.
bool RankWatch::take(Connection& connection, const std::string& line) {
  if (connection.rank < 0) return begin(connection, line);
  std::istringstream words{line};
  std::string word;
  int number = 0;
  words >> word;
  if (word == word::started) {
    have_started_ = have_started_ || connection.rank == 0;
  } else if (word == word::outcome && words >> number) {
    outcome_ = number;
  } else if (word == word::exits && words >> number) {
    ranks_[static_cast<std::size_t>(connection.rank)].exits = number;
  } else if (word == word::reason) {
    std::string text = line.substr(std::min(line.size(), word.size() + 1));
    std::ranges::replace(text, line_break, '\n');
    reasons_.push_back(std::move(text));
  } else if (word == word::aborts && words >> number && !abort_) {
    bool is_explained = false;
    words >> is_explained;
    abort_ = {connection.rank, number, is_explained};
  } else if (word == word::out_of_reach) {
    is_out_of_reach_ = true;
  }
  return true;
}

bool RankWatch::begin(Connection& connection, const std::string& line) {
  std::istringstream words{line};
  std::string word;
  std::string token;
  std::string host;
  std::string loopback;
  int rank = -1;
  pid_t process = 0;
  words >> word >> token >> rank >> process >> host >> std::ws;
  std::getline(words, loopback);
  if (word != word::begun || token != token_ || rank < 0 || static_cast<std::size_t>(rank) >= ranks_.size()) {
    return false;
  }
  Rank& known = ranks_[static_cast<std::size_t>(rank)];
  if (known.process != 0 || process <= 0 || host.empty()) return false;
  known.process = process;
  known.host = host;
  if (loopback == own_loopback_) deaths_.watch(rank, process);
  connection.rank = rank;
  return true;
}

std::vector<int> RankWatch::missing() const {
  std::vector<int> missing;
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    if (ranks_[rank].process == 0) missing.push_back(static_cast<int>(rank));
  }
  return missing;
}

void RankWatch::ask_to_stop(int signal) const noexcept {
  const char byte = static_cast<char>(signal);
  for (const auto& [descriptor, connection] : connections_) {
    if (connection.rank == 0) (void)send(descriptor, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
  }
}

bool RankWatch::killed_at_start() const noexcept {
  return std::ranges::any_of(ended_at_start_, [&](int rank) { return !ranks_[static_cast<std::size_t>(rank)].exits; });
}

void RankWatch::end(const Connection& connection) {
  if (connection.rank < 0) return;
  Rank& rank = ranks_[static_cast<std::size_t>(connection.rank)];
  rank.has_ended = true;
  if (!have_started_) ended_at_start_.push_back(connection.rank);
  if (!rank.exits && !first_killed_) first_killed_ = connection.rank;
}

}  // namespace echelon::launch
