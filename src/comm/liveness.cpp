#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <echelon/base/error.hpp>
#include <echelon/comm/liveness.hpp>

#include "liveness_channel.hpp"

namespace echelon::comm {
namespace {

using std::chrono::milliseconds;

/// How many connections may be about to come in, besides the workers that are awaited. One more puts out the oldest
/// that has not proved itself: a worker does so as soon as it is connected, and tries again.
constexpr std::size_t most_strangers = 64;
constexpr int accepted_at_once = 64;
constexpr milliseconds pause_of_accepting{100};

LivenessInvitation::Secret new_secret() {
  LivenessInvitation::Secret secret{};
  while (getrandom(secret.data(), sizeof secret, 0) != ssize_t{sizeof secret}) {
    if (errno != EINTR) throw_errno("getrandom");
  }
  return secret;
}

LivenessInvitation invite_to(const Descriptor& listener, const LivenessOptions& options) {
  LivenessInvitation invitation;
  std::vector<LivenessInvitation::Address> own;
  if (!options.within_host) own = own_addresses();
  invitation.address_count = static_cast<std::uint32_t>(std::min(own.size(), LivenessInvitation::most_addresses));
  std::copy_n(own.begin(), invitation.address_count, invitation.addresses.begin());
  invitation.port = port_of(listener);
  loopback_name().copy(invitation.host.data(), invitation.host.size() - 1);
  invitation.shown_by_worker = new_secret();
  invitation.shown_by_master = new_secret();
  return invitation;
}

struct Connection {
  enum class Stage {
    stranger,
    welcomed,  ///< has proved itself, and is to say that it is ready
    member,    ///< from here on it is in
    left,      ///< has said goodbye
    ended,     ///< lost or given up: told to end, not heard any more
  };

  std::uint64_t id = 0;
  Channel channel;
  Stage stage = Stage::stranger;
  int rank = -1;
  RunningClock::Duration last_heard{0};  ///< a stranger's: when it connected
  std::uint64_t unanswered = 0;          ///< requests
  std::uint32_t watched{};               ///< epoll's events

  [[nodiscard]] bool is_in() const { return stage != Stage::stranger && stage != Stage::welcomed; }
};

struct Command {
  enum class What { request, tell, end, goodbye, close_port, stop };
  What what{};
  int rank = 0;
  std::uint64_t value = 0;
};

}  // namespace

LivenessOptions liveness_options() {
  LivenessOptions options;
  const char* written = std::getenv("ECHELON_HEARTBEAT_S");
  if (written == nullptr || *written == '\0') return options;
  const std::string_view text{written};
  double silence_s = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), silence_s);
  // Shorter is what a busy machine does to a healthy rank; the other end is for milliseconds to fit.
  if (error != std::errc{} || end != text.data() + text.size() || !(silence_s >= 0.1 && silence_s <= 1e6)) {
    throw base::UsageError(
        "ECHELON_HEARTBEAT_S='" + std::string{text} +
        "' is not a time after which a silent rank is lost; give seconds from 0.1 to 1e6, such as 10");
  }
  options.silence = std::chrono::round<milliseconds>(std::chrono::duration<double>{silence_s});
  return options;
}

struct LivenessMonitor::Impl {
  Impl(int of_ranks, LivenessOptions with, std::function<void()> told)
      : ranks{of_ranks},
        options{with},
        on_news{std::move(told)},
        unheard(static_cast<std::size_t>(of_ranks)),
        clock{longest_gap(with)} {
    connection_of.resize(static_cast<std::size_t>(ranks));
    for (int rank = 1; rank < ranks; ++rank) missing.insert(rank);
    if (!epoll.is_open()) throw_errno("epoll_create1");
    watch(listener.get(), listener_id, EPOLLIN, EPOLL_CTL_ADD);
    watch(wakeup.fd(), wakeup_id, EPOLLIN, EPOLL_CTL_ADD);
    thread = start_thread(
        "echelon-monitor", [](void* impl) { static_cast<Impl*>(impl)->run(); }, this);
  }

  ~Impl() {
    post({Command::What::stop});
    thread.join();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // ---- what both sides use ----
  const int ranks;
  const LivenessOptions options;
  const std::function<void()> on_news;
  Descriptor listener = options.within_host ? listen_within_host() : listen_everywhere();  // the thread's
  const LivenessInvitation invitation = invite_to(listener, options);
  Wakeup wakeup;
  std::atomic<bool> any_news = false;

  std::mutex mutex;  // of all that follows here; held for moments only
  std::condition_variable changed;
  std::vector<Command> commands;
  std::vector<News> news;
  std::vector<bool> unheard;  // by rank: lost or given up
  std::set<int> missing;      // workers that have not connected
  int present = 0;            // workers that have connected and have neither left nor been lost
  bool port_is_closed = false;
  bool goodbye_is_said = false;

  void check_worker(int rank) const {
    if (rank > 0 && rank < ranks) return;
    throw std::out_of_range("rank " + std::to_string(rank) + " is no worker of " + std::to_string(ranks) + " ranks");
  }

  void post(Command command) {
    bool first = false;
    {
      const std::lock_guard lock{mutex};
      first = commands.empty();  // otherwise the thread has been woken for those before
      commands.push_back(command);
    }
    if (first) wakeup.signal();
  }

  // ---- the thread's own ----
  using Connections = std::map<std::uint64_t, Connection>;  // by age

  Descriptor epoll{epoll_create1(EPOLL_CLOEXEC)};
  static constexpr std::uint64_t listener_id = 1;
  static constexpr std::uint64_t wakeup_id = 2;
  std::uint64_t last_id = wakeup_id;  // never used again: an event may come for what has just been closed
  Connections connections;
  std::vector<std::uint64_t> connection_of;  // by rank, 0 where there is none
  std::size_t strangers = 0;                 // connections that are not in
  RunningClock clock;
  RunningClock::Duration next_heartbeat{0};
  RunningClock::Duration accept_again{0};
  bool accepting = true;
  bool leaving = false;  // goodbye is being said, or is
  bool stopping = false;

  std::thread thread;  // the last, as it uses all the others

  void run() {
    while (!stopping) {
      wait_for_events();
      run_commands();
      if (clock.now() >= next_heartbeat) {
        next_heartbeat = clock.now() + heartbeat_period(options);
        look_after_all();
      }
      put_out_late_strangers();
      resume_accepting();
      if (listener.is_open() && all_are_in()) close_port();
    }
    close_port();
    for (auto& [id, connection] : connections) {
      connection.channel.flush();
      connection.channel.finish_sending();
      // What was left unread would make the system take back what was sent.
      (void)connection.channel.receive([](const Frame&) { return true; });
    }
  }

  void watch(int fd, std::uint64_t id, std::uint32_t events, int operation) const {
    epoll_event event{};
    event.events = events;
    event.data.u64 = id;
    if (epoll_ctl(epoll.get(), operation, fd, &event) != 0) throw_errno("epoll_ctl");
  }

  /// A member's heartbeats are left to be read once a period, and do not wake this thread one by one.
  void watch(Connection& connection) const {
    const bool is_idle = connection.stage == Connection::Stage::member && connection.unanswered == 0;
    std::uint32_t events = EPOLLRDHUP;
    if (!is_idle || leaving) events |= EPOLLIN;
    if (connection.channel.has_unsent()) events |= EPOLLOUT;
    if (events == connection.watched) return;
    watch(connection.channel.fd(), connection.id, events, connection.watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD);
    connection.watched = events;
  }

  void wait_for_events() {
    RunningClock::Duration until = next_heartbeat;
    for (const auto& [id, connection] : connections) {
      if (strangers == 0) break;
      if (!connection.is_in()) {
        until = std::min<RunningClock::Duration>(until, connection.last_heard + options.stranger);
        break;  // the oldest
      }
    }
    if (!accepting) until = std::min(until, accept_again);
    std::array<epoll_event, 64> events{};
    const int count = epoll_wait(epoll.get(), events.data(), events.size(), poll_timeout(until - clock.now()));
    clock.look();
    for (int i = 0; i < count; ++i) {
      const std::uint64_t id = events.at(static_cast<std::size_t>(i)).data.u64;
      if (id == wakeup_id) {
        wakeup.clear();
      } else if (id == listener_id) {
        accept_some();
      } else if (const auto found = connections.find(id); found != connections.end()) {
        serve(found->second);
      }
    }
  }

  // ---- who comes ----

  void accept_some() {
    for (int i = 0; i < accepted_at_once && listener.is_open(); ++i) {
      Descriptor socket{accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
      if (!socket.is_open()) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) return;
        if (errno == EINTR || errno == ECONNABORTED) continue;
        // Too many open files, or too little memory: a stranger's may be the one too many. Otherwise the listener would
        // go on being ready, and this thread spinning.
        if (put_out_oldest_stranger()) continue;
        pause_accepting();
        return;
      }
      if (strangers >= most_strangers + awaited()) put_out_oldest_stranger();
      const std::uint64_t id = ++last_id;
      Connection& connection =
          connections.emplace(id, Connection{.id = id, .channel = Channel{std::move(socket)}}).first->second;
      connection.last_heard = clock.now();
      ++strangers;
      try {
        serve(connection);  // its proof is often there already
      } catch (const std::system_error&) {
        drop(connection);  // the system watches no more of them
      }
    }
  }

  void pause_accepting() {
    if (!accepting) return;
    accepting = false;
    accept_again = clock.now() + pause_of_accepting;
    watch(listener.get(), listener_id, 0, EPOLL_CTL_MOD);
  }

  void resume_accepting() {
    if (accepting || !listener.is_open() || clock.now() < accept_again) return;
    accepting = true;
    watch(listener.get(), listener_id, EPOLLIN, EPOLL_CTL_MOD);
  }

  /// Not who has proved itself: a worker that is slow to say that it is ready takes itself for connected then.
  bool put_out_oldest_stranger() {
    const auto oldest = std::ranges::find_if(
        connections, [](const auto& entry) { return entry.second.stage == Connection::Stage::stranger; });
    if (oldest == connections.end()) return false;
    drop(oldest->second);
    return true;
  }

  void put_out_all_strangers() {
    for (auto at = connections.begin(); at != connections.end() && strangers > 0;) {
      Connection& connection = (at++)->second;
      if (!connection.is_in()) drop(connection);
    }
  }

  /// A worker that takes itself for connected has said so: that is to be read before it is found missing.
  void serve_strangers() {
    for (auto at = connections.begin(); at != connections.end() && strangers > 0;) {
      Connection& connection = (at++)->second;
      if (!connection.is_in()) serve(connection);
    }
  }

  void put_out_late_strangers() {
    for (auto at = connections.begin(); at != connections.end() && strangers > 0;) {
      Connection& connection = (at++)->second;
      if (!connection.is_in() && clock.now() >= connection.last_heard + options.stranger) drop(connection);
    }
  }

  std::size_t awaited() {
    const std::lock_guard lock{mutex};
    return missing.size();
  }
  bool all_are_in() { return awaited() == 0; }

  void close_port() {
    // More than closing it: a child process may have been forked meanwhile and hold the socket as well.
    if (listener.is_open()) shutdown(listener.get(), SHUT_RDWR);
    listener.reset();
    accepting = true;
    serve_strangers();
    put_out_all_strangers();
    const std::lock_guard lock{mutex};
    port_is_closed = true;
    changed.notify_all();
  }

  // ---- what they say ----

  /// False: the connection is gone.
  bool serve(Connection& connection) {
    connection.channel.flush();
    if (!connection.channel.receive([&](const Frame& frame) { return take(connection, frame); })) {
      if (connection.is_in()) lose(connection, Lost::Cause::closed);
      drop(connection);
      return false;
    }
    watch(connection);
    return true;
  }

  /// False: this is not how a worker talks.
  bool take(Connection& connection, const Frame& frame) {
    using Stage = Connection::Stage;
    using Kind = Frame::Kind;
    switch (connection.stage) {
      case Stage::stranger:
        if (frame.kind != Kind::hello || !same_secret(frame.content, invitation.shown_by_worker)) return false;
        if (!is_missing(frame.rank)) return false;
        connection.stage = Stage::welcomed;
        connection.rank = frame.rank;
        return connection.channel.send({.kind = Kind::welcome, .content = invitation.shown_by_master});
      case Stage::welcomed: return frame.kind == Kind::ready && enter(connection);
      case Stage::member:
      case Stage::left:
        connection.last_heard = clock.now();
        if (frame.kind == Kind::answer && connection.unanswered > 0) {
          --connection.unanswered;
          publish(connection.rank, Answer{connection.rank, frame.content[0], frame.content[1]});
        } else if (frame.kind == Kind::word) {
          publish(connection.rank, Word{connection.rank, frame.content[0]});
        } else if (frame.kind == Kind::gave_up) {
          publish(connection.rank, Lost{connection.rank, Lost::Cause::gave_up, frame.content[0]});
          leave(connection, Stage::ended);
        } else if (frame.kind == Kind::goodbye) {
          leave(connection, Stage::left);
        } else if (frame.kind != Kind::heartbeat) {
          return false;
        }
        return true;
      case Stage::ended: return true;
    }
    return false;
  }

  bool is_missing(int rank) {
    const std::lock_guard lock{mutex};
    return missing.contains(rank);
  }

  bool enter(Connection& connection) {
    const std::lock_guard lock{mutex};
    if (missing.erase(connection.rank) == 0) return false;  // it is in, by another connection
    connection.stage = Connection::Stage::member;
    connection.last_heard = clock.now();
    connection_of.at(static_cast<std::size_t>(connection.rank)) = connection.id;
    --strangers;
    ++present;
    return true;
  }

  // ---- who goes ----

  void leave(Connection& connection, Connection::Stage stage) {
    const bool was_present = connection.stage == Connection::Stage::member;
    connection.stage = stage;
    const std::lock_guard lock{mutex};
    if (was_present) --present;
    changed.notify_all();
  }

  /// A rank that has left owes nothing but the answers to requests.
  void lose(Connection& connection, Lost::Cause cause) {
    const bool is_expected = connection.stage == Connection::Stage::left && connection.unanswered == 0;
    if (!is_expected) publish(connection.rank, Lost{connection.rank, cause});
    leave(connection, Connection::Stage::ended);
  }

  void drop(Connection& connection) {
    if (connection.is_in()) {
      connection_of.at(static_cast<std::size_t>(connection.rank)) = 0;
    } else {
      --strangers;
    }
    connections.erase(connection.id);
  }

  /// False: the connection is gone.
  bool tell(Connection& connection, const Frame& frame) {
    if (connection.channel.send(frame)) {
      watch(connection);
      return true;
    }
    lose(connection, Lost::Cause::silent);
    drop(connection);
    return false;
  }

  /// The connection stays, for it to be read when the process is continued.
  void tell_to_end(Connection& connection) {
    leave(connection, Connection::Stage::ended);
    tell(connection, {.kind = Frame::Kind::end});
  }

  /// After Lost, nothing is heard of a rank.
  void publish(int rank, News what) {
    const bool is_loss = std::holds_alternative<Lost>(what);
    const bool is_called_for = !leaving && !std::holds_alternative<Answer>(what);
    {
      const std::lock_guard lock{mutex};
      const auto index = static_cast<std::size_t>(rank);
      if (unheard.at(index) || (is_loss && leaving)) return;
      if (is_loss) unheard.at(index) = true;
      news.push_back(what);
      any_news.store(true, std::memory_order_relaxed);
    }
    if (is_called_for && on_news) on_news();
  }

  // ---- once a period ----

  void look_after_all() {
    for (auto at = connections.begin(); at != connections.end();) {
      Connection& connection = (at++)->second;
      // Nobody is judged before all that has arrived is read.
      if (!connection.is_in() || !serve(connection)) continue;
      if (connection.stage == Connection::Stage::ended) continue;
      const bool is_awaited = connection.stage == Connection::Stage::member || connection.unanswered > 0;
      if (is_awaited && !leaving && clock.now() - connection.last_heard > options.silence) {
        lose(connection, Lost::Cause::silent);
        tell_to_end(connection);
      } else {
        tell(connection, {.kind = Frame::Kind::heartbeat});
      }
    }
  }

  // ---- what the caller wants ----

  void run_commands() {
    std::vector<Command> taken;
    {
      const std::lock_guard lock{mutex};
      taken.swap(commands);
    }
    for (const Command& command : taken) {
      switch (command.what) {
        case Command::What::request: request(command.rank, command.value); break;
        case Command::What::tell: say(command.rank, command.value); break;
        case Command::What::end: end(command.rank); break;
        case Command::What::goodbye: say_goodbye(); break;
        case Command::What::close_port: close_port(); break;
        case Command::What::stop: stopping = true; break;
      }
    }
  }

  Connection* find(int rank) {
    const auto found = connections.find(connection_of.at(static_cast<std::size_t>(rank)));
    return found == connections.end() ? nullptr : &found->second;
  }

  void request(int rank, std::uint64_t value) {
    if (find(rank) == nullptr) serve_strangers();
    Connection* connection = find(rank);
    if (connection == nullptr) {
      publish(rank, Lost{rank, Lost::Cause::closed});
    } else if (connection->stage != Connection::Stage::ended) {
      ++connection->unanswered;
      tell(*connection, {.kind = Frame::Kind::request, .content = {value, 0}});
    }
  }

  void say(int rank, std::uint64_t word) {
    Connection* const connection = find(rank);
    if (connection == nullptr || connection->stage == Connection::Stage::ended) return;
    tell(*connection, {.kind = Frame::Kind::word, .content = {word, 0}});
  }

  void end(int rank) {
    {
      const std::lock_guard lock{mutex};
      missing.erase(rank);
    }
    if (Connection* connection = find(rank)) tell_to_end(*connection);
  }

  void say_goodbye() {
    leaving = true;
    close_port();
    for (auto at = connections.begin(); at != connections.end();) {
      Connection& connection = (at++)->second;
      tell(connection, {.kind = Frame::Kind::goodbye});
    }
    const std::lock_guard lock{mutex};
    goodbye_is_said = true;
    changed.notify_all();
  }
};

LivenessMonitor::LivenessMonitor(int ranks, LivenessOptions options, std::function<void()> on_news) {
  if (ranks < 1) throw std::invalid_argument("a session has at least one rank, not " + std::to_string(ranks));
  impl_ = std::make_unique<Impl>(ranks, options, std::move(on_news));
}

LivenessMonitor::~LivenessMonitor() = default;

const LivenessInvitation& LivenessMonitor::invitation() const noexcept { return impl_->invitation; }

std::vector<int> LivenessMonitor::wait_for_workers(milliseconds limit) {
  std::unique_lock lock{impl_->mutex};
  if (!impl_->changed.wait_for(lock, limit, [&] { return impl_->port_is_closed; })) {
    lock.unlock();
    impl_->post({Command::What::close_port});
    lock.lock();
    impl_->changed.wait(lock, [&] { return impl_->port_is_closed; });
  }
  return {impl_->missing.begin(), impl_->missing.end()};
}

bool LivenessMonitor::has_news() const noexcept { return impl_->any_news.load(std::memory_order_relaxed); }

std::vector<LivenessMonitor::News> LivenessMonitor::news() {
  const std::lock_guard lock{impl_->mutex};
  impl_->any_news.store(false, std::memory_order_relaxed);
  return std::exchange(impl_->news, {});
}

void LivenessMonitor::request(int rank, std::uint64_t value) {
  impl_->check_worker(rank);
  impl_->post({Command::What::request, rank, value});
}

void LivenessMonitor::tell(int rank, std::uint64_t word) {
  impl_->check_worker(rank);
  impl_->post({Command::What::tell, rank, word});
}

void LivenessMonitor::end(int rank) {
  impl_->check_worker(rank);
  {
    const std::lock_guard lock{impl_->mutex};
    impl_->unheard.at(static_cast<std::size_t>(rank)) = true;
    std::erase_if(impl_->news,
                  [&](const News& one) { return std::visit([](const auto& what) { return what.rank; }, one) == rank; });
  }
  impl_->post({Command::What::end, rank});
}

void LivenessMonitor::goodbye() {
  impl_->post({Command::What::goodbye});
  std::unique_lock lock{impl_->mutex};
  impl_->changed.wait(lock, [&] { return impl_->goodbye_is_said; });
}

bool LivenessMonitor::wait_until_all_left(milliseconds limit) {
  std::unique_lock lock{impl_->mutex};
  return impl_->changed.wait_for(lock, limit, [&] { return impl_->present == 0; });
}

}  // namespace echelon::comm
