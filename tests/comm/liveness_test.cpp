// Every test that waits for silence takes a short one; every other takes one of minutes, so that nothing but what it
// is about can end its waiting.
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <deque>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/comm/liveness.hpp>

#include "support/run_program.hpp"

namespace echelon::comm {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
using test::wait_until;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Lost = LivenessMonitor::Lost;
using Answer = LivenessMonitor::Answer;
using Cause = Lost::Cause;
using Invitation = LivenessInvitation;

static_assert(std::is_trivially_copyable_v<LivenessInvitation>);

constexpr milliseconds limit = 30s;                  // of all that must happen
constexpr LivenessOptions patient{.silence = 600s};  // no heartbeat within the limit: what happens, happens at once
constexpr LivenessOptions impatient{.silence = 800ms};
constexpr LivenessOptions brisk{.silence = 3s};  // where something is seen at the next heartbeat only

// ---- news as text ----

std::string text_of(const LivenessMonitor::News& news) {
  if (const auto* lost = std::get_if<Lost>(&news)) {
    return "lost " + std::to_string(lost->rank) + (lost->cause == Cause::closed ? " closed" : " silent");
  }
  if (const auto* word = std::get_if<LivenessMonitor::Word>(&news)) {
    return "word " + std::to_string(word->rank) + " " + std::to_string(word->value);
  }
  const auto& answer = std::get<Answer>(news);
  return "answer " + std::to_string(answer.rank) + " " + std::to_string(answer.request) + " " +
         std::to_string(answer.answer);
}

/// The first `count` news, in their order, or fewer after the limit.
std::vector<std::string> news_of(LivenessMonitor& monitor, std::size_t count) {
  std::vector<std::string> all;
  (void)wait_until(
      [&] {
        if (monitor.has_news()) {
          for (const auto& one : monitor.news()) all.push_back(text_of(one));
        }
        return all.size() >= count;
      },
      limit);
  return all;
}

// ---- workers in this process ----

struct Worker {
  std::atomic<int> masters_lost = 0;
  std::atomic<int> ended = 0;
  std::atomic<std::uint64_t> told = 0;  // the sum of words
  std::unique_ptr<LivenessBeacon> beacon;

  Worker(int rank, const Invitation& invitation, LivenessOptions options = patient, milliseconds within = limit) {
    LivenessBeacon::Handlers handlers{.answer = [](std::uint64_t value) { return value + 1; },
                                      .told = [this](std::uint64_t word) { told += word; },
                                      .master_lost = [this] { ++masters_lost; },
                                      .ended = [this] { ++ended; }};
    beacon = std::make_unique<LivenessBeacon>(rank, invitation, options, std::move(handlers), within);
  }
};

std::vector<std::unique_ptr<Worker>> enter_all(LivenessMonitor& monitor, int ranks, LivenessOptions options = patient) {
  std::vector<std::unique_ptr<Worker>> workers;
  for (int rank = 1; rank < ranks; ++rank) {
    workers.push_back(std::make_unique<Worker>(rank, monitor.invitation(), options));
  }
  EXPECT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  return workers;
}

// ---- what goes over the wire, written a second time ----

struct Message {
  std::uint32_t kind = 0;
  std::int32_t rank = 0;
  std::array<std::uint64_t, 2> content{};
};
enum Kind : std::uint32_t { hello = 1, welcome, ready, heartbeat, request, answer, goodbye, end };

sockaddr_in local(const char* address, std::uint32_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(static_cast<std::uint16_t>(port));
  inet_pton(AF_INET, address, &result.sin_addr);
  return result;
}

/// One end of a connection that speaks by hand.
class Peer {
 public:
  explicit Peer(int fd) : fd_{fd} {}
  /// Connects; `receive_bytes` bounds what the system takes while nobody reads.
  explicit Peer(const Invitation& invitation, int receive_bytes = 0)
      : Peer{"127.0.0.1", invitation.port, receive_bytes} {}
  Peer(const char* address, std::uint32_t port, int receive_bytes = 0) : fd_{socket(AF_INET, SOCK_STREAM, 0)} {
    if (receive_bytes > 0) setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    const sockaddr_in to = local(address, port);
    is_connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    // Whoever writes to what nobody reads must not wait for ever.
    const timeval patience{.tv_sec = 30, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  }
  ~Peer() { hang_up(); }
  Peer(Peer&& other) noexcept : fd_{std::exchange(other.fd_, -1)}, is_connected_{other.is_connected_} {}
  Peer& operator=(Peer&&) = delete;

  [[nodiscard]] bool is_connected() const { return is_connected_; }
  void hang_up() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

  /// Hangs up as a process does that crashes with what it has not read.
  void reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    hang_up();
  }
  /// Sends no more, and reads on.
  void finish() const { shutdown(fd_, SHUT_WR); }

  void send_bytes(const std::string& bytes) const {
    for (std::size_t at = 0; at < bytes.size();) {
      const ssize_t count = ::send(fd_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (count <= 0) return;
      at += static_cast<std::size_t>(count);
    }
  }
  void send(const Message& message) const {
    send_bytes(std::string{reinterpret_cast<const char*>(&message), sizeof message});
  }

  /// The next message; nothing where there is none within `within` or the connection has closed.
  [[nodiscard]] std::optional<Message> next(milliseconds within = limit) const {
    Message message;
    std::size_t at = 0;
    const auto until = Clock::now() + within;
    while (at < sizeof message) {
      if (!readable(until)) return std::nullopt;
      const ssize_t count = recv(fd_, reinterpret_cast<char*>(&message) + at, sizeof message - at, 0);
      if (count <= 0) return std::nullopt;
      at += static_cast<std::size_t>(count);
    }
    return message;
  }

  /// Reads, and answers heartbeats where it is to, until a message of this kind.
  [[nodiscard]] std::optional<Message> next_of(Kind kind, bool answering = true) const {
    const auto until = Clock::now() + limit;
    while (Clock::now() < until) {
      const auto message = next();
      if (!message) return std::nullopt;
      if (answering && message->kind == heartbeat) send({.kind = heartbeat});
      if (message->kind == kind) return message;
    }
    return std::nullopt;
  }

  [[nodiscard]] bool count_heartbeats(int count, bool answering = true) const {
    for (int i = 0; i < count; ++i) {
      if (!next_of(heartbeat, answering)) return false;
    }
    return true;
  }

  /// As a worker.
  [[nodiscard]] bool enter(int rank, const Invitation& invitation) const {
    send({.kind = hello, .rank = rank, .content = invitation.shown_by_worker});
    const auto reply = next();
    if (!reply || reply->kind != welcome || reply->content != invitation.shown_by_master) return false;
    send({.kind = ready});
    return true;
  }

  /// The other end closes within the limit.
  [[nodiscard]] bool is_closed(milliseconds within = limit) const {
    const auto until = Clock::now() + within;
    std::array<char, 4096> ignored{};
    while (readable(until)) {
      if (recv(fd_, ignored.data(), ignored.size(), 0) <= 0) return true;
    }
    return false;
  }

 private:
  [[nodiscard]] bool readable(Clock::time_point until) const {
    pollfd one{fd_, POLLIN, 0};
    const auto left = std::chrono::ceil<milliseconds>(until - Clock::now()).count();
    return left >= 0 && poll(&one, 1, static_cast<int>(left)) > 0;
  }

  int fd_;
  bool is_connected_ = true;
};

/// A healthy worker, on a thread of its own, that counts the master's heartbeats and answers requests with 1.
class Pulse {
 public:
  Pulse(int rank, const Invitation& invitation) : peer_{invitation}, is_in_{peer_.enter(rank, invitation)} {
    thread_ = std::thread{[this] {
      while (!is_stopping_) {
        const auto message = peer_.next(10ms);
        if (!message) continue;
        if (message->kind == request) peer_.send({.kind = answer, .content = {message->content[0], 1}});
        if (message->kind != heartbeat) continue;
        peer_.send({.kind = heartbeat});
        ++count_;
      }
    }};
  }
  ~Pulse() {
    is_stopping_ = true;
    thread_.join();
  }
  Pulse(const Pulse&) = delete;
  Pulse& operator=(const Pulse&) = delete;

  [[nodiscard]] bool is_in() const { return is_in_; }
  /// Returns when so many more have come.
  [[nodiscard]] bool count(int more) const {
    const int until = count_ + more;
    return wait_until([&] { return count_ >= until; }, limit);
  }

 private:
  Peer peer_;
  bool is_in_;
  std::atomic<int> count_ = 0;
  std::atomic<bool> is_stopping_ = false;
  std::thread thread_;
};

bool port_is_closed(const Invitation& invitation) { return !Peer{invitation}.is_connected(); }

// ---- processes ----

/// A forked child that talks in lines. Made before the test makes any thread.
class Child {
 public:
  /// What the child has of the pipes.
  struct Talk {
    int in;
    int out;
    void say(const std::string& line) const {
      const std::string text = line + "\n";
      if (write(out, text.data(), text.size()) != static_cast<ssize_t>(text.size())) _exit(99);
    }
    /// The next character that the test says; nothing after `within`. The end of the test ends the child.
    [[nodiscard]] std::optional<char> hear(milliseconds within) const {
      pollfd one{in, POLLIN, 0};
      if (poll(&one, 1, static_cast<int>(within.count())) <= 0) return std::nullopt;
      char told = 0;
      if (read(in, &told, 1) != 1) _exit(98);
      return told;
    }
    [[nodiscard]] Invitation hear_invitation() const {
      Invitation invitation;
      for (std::size_t at = 0; at < sizeof invitation;) {
        const ssize_t count = read(in, reinterpret_cast<char*>(&invitation) + at, sizeof invitation - at);
        if (count <= 0) _exit(98);
        at += static_cast<std::size_t>(count);
      }
      return invitation;
    }
  };

  explicit Child(const std::function<void(const Talk&)>& run) {
    std::array<int, 2> to{};
    std::array<int, 2> from{};
    if (pipe2(to.data(), O_CLOEXEC) != 0 || pipe2(from.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      close(to[1]);
      close(from[0]);
      try {
        run({to[0], from[1]});
      } catch (const std::exception& error) {
        Talk{to[0], from[1]}.say(std::string{"threw "} + error.what());
        _exit(97);
      }
      _exit(0);
    }
    close(to[0]);
    close(from[1]);
    in_ = to[1];
    out_ = from[0];
  }
  ~Child() {
    kill(pid_, SIGKILL);
    if (!is_reaped_) waitpid(pid_, nullptr, 0);
    close(in_);
    close(out_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }

  void tell(const void* bytes, std::size_t count) const {
    ASSERT_EQ(write(in_, bytes, count), static_cast<ssize_t>(count));
  }
  void tell(char what) const { tell(&what, 1); }
  void tell(const Invitation& invitation) const { tell(&invitation, sizeof invitation); }

  /// The next line; or what happened instead.
  [[nodiscard]] std::string line() {
    const auto until = Clock::now() + limit;
    std::string text;
    for (char next = 0;;) {
      pollfd one{out_, POLLIN, 0};
      const auto left = std::chrono::ceil<milliseconds>(until - Clock::now()).count();
      if (left < 0 || poll(&one, 1, static_cast<int>(left)) <= 0) return "(nothing said)";
      if (read(out_, &next, 1) != 1) return "(gone)";
      if (next == '\n') return text;
      text += next;
    }
  }

  [[nodiscard]] Invitation invitation() const {
    Invitation invitation;
    for (std::size_t at = 0; at < sizeof invitation;) {
      const ssize_t count = read(out_, reinterpret_cast<char*>(&invitation) + at, sizeof invitation - at);
      if (count <= 0) throw std::runtime_error("no invitation");
      at += static_cast<std::size_t>(count);
    }
    return invitation;
  }

  void signal(int number) const { kill(pid_, number); }
  /// Returns when it has stopped.
  void stop() const {
    kill(pid_, SIGSTOP);
    int status = 0;
    ASSERT_EQ(waitpid(pid_, &status, WUNTRACED), pid_);
    ASSERT_TRUE(WIFSTOPPED(status));
  }
  /// Its exit status, or minus the signal that ended it.
  [[nodiscard]] int exit_status() {
    int status = 0;
    is_reaped_ = wait_until([&] { return waitpid(pid_, &status, WNOHANG) == pid_; }, limit);
    if (!is_reaped_) return -1000;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
  bool is_reaped_ = false;
};

/// Is told the invitation; then g: goodbye, d: destroys the beacon, x: exits, e: says goodbye and exits
/// at once.
std::function<void(const Child::Talk&)> worker(int rank, LivenessOptions options) {
  return [=](const Child::Talk& talk) {
    const Invitation invitation = talk.hear_invitation();
    LivenessBeacon::Handlers handlers{.answer = [](std::uint64_t value) { return value + 1; },
                                      .master_lost =
                                          [&] {
                                            talk.say("master lost");
                                            _exit(40);
                                          },
                                      .ended =
                                          [&] {
                                            talk.say("ended");
                                            _exit(50);
                                          }};
    auto beacon = std::make_unique<LivenessBeacon>(rank, invitation, options, handlers, limit);
    talk.say("in");
    for (;;) {
      switch (talk.hear(24h).value_or('?')) {
        case 'g':
          beacon->goodbye();
          talk.say("said goodbye");
          break;
        case 'e': beacon->goodbye(); _exit(0);
        case 'd':
          beacon.reset();
          talk.say("destroyed");
          break;
        case 'x': _exit(0);
        default: break;
      }
    }
  };
}

/// With no handlers but the ones there are by default.
void plain_worker(const Child::Talk& talk) {
  const LivenessBeacon beacon{1, talk.hear_invitation(), patient, {}, limit};
  talk.say("in");
  for (;;) (void)talk.hear(24h);
}

/// Says the invitation; then all news, and is told 1 to 9: request to that rank; g: goodbye.
std::function<void(const Child::Talk&)> master(int ranks, LivenessOptions options) {
  return [=](const Child::Talk& talk) {
    LivenessMonitor monitor{ranks, options};
    if (write(talk.out, &monitor.invitation(), sizeof(Invitation)) != ssize_t{sizeof(Invitation)}) _exit(99);
    talk.say("missing " + std::to_string(monitor.wait_for_workers(limit).size()));
    for (;;) {
      if (const auto told = talk.hear(5ms)) {
        if (*told >= '1' && *told <= '9') monitor.request(*told - '0', 7);
        if (*told == 'g') {
          monitor.goodbye();
          talk.say("said goodbye");
        }
      }
      for (const auto& one : monitor.news()) talk.say(text_of(one));
    }
  };
}

/// Time that must pass outside of the processes under test.
void let_pass(milliseconds time) { std::this_thread::sleep_for(time); }

// ---- options and the invitation ----

class liveness_environment : public testing::Test {
 protected:
  ~liveness_environment() override { unsetenv("ECHELON_HEARTBEAT_S"); }
  static void set(const char* value) { setenv("ECHELON_HEARTBEAT_S", value, 1); }
};

TEST_F(liveness_environment, default_is_ten_seconds) {
  unsetenv("ECHELON_HEARTBEAT_S");
  EXPECT_EQ(liveness_options().silence, 10s);
  set("");
  EXPECT_EQ(liveness_options().silence, 10s);
}

TEST_F(liveness_environment, sets_the_silence_in_seconds) {
  for (const auto& [text, silence] : std::vector<std::pair<const char*, milliseconds>>{
           {"3", 3s}, {"0.25", 250ms}, {"1e2", 100s}, {"0.1", 100ms}, {"1e6", 1'000'000s}}) {
    set(text);
    EXPECT_EQ(liveness_options().silence, silence) << text;
  }
}

TEST_F(liveness_environment, nonsense_is_a_usage_error_on_one_line_that_names_it) {
  for (const char* text :
       {"0", "-1", "ten", "10s", "1 ", " 1", "nan", "inf", "1e300", "1e-300", "0.05", "1,5", "0x10", "--"}) {
    set(text);
    try {
      (void)liveness_options();
      ADD_FAILURE() << text << " was taken";
    } catch (const base::UsageError& error) {
      EXPECT_THAT(error.what(), HasSubstr("ECHELON_HEARTBEAT_S='" + std::string{text} + "'"));
      EXPECT_THAT(error.what(), testing::Not(HasSubstr("\n")));
      EXPECT_THAT(error.what(), HasSubstr("such as 10"));
    }
  }
}

TEST(liveness, invitation_has_addresses_that_other_hosts_may_know_and_secrets_of_its_own) {
  const LivenessMonitor first{2, patient};
  const LivenessMonitor second{2, patient};
  const Invitation& one = first.invitation();
  const Invitation& other = second.invitation();
  EXPECT_NE(one.port, 0U);
  EXPECT_NE(one.port, other.port);
  const std::set<Invitation::Secret> secrets{one.shown_by_worker, one.shown_by_master, other.shown_by_worker,
                                             other.shown_by_master, Invitation::Secret{}};
  EXPECT_EQ(secrets.size(), 5U) << "all differ, and none is zero";
  EXPECT_EQ(one.host, other.host);
  EXPECT_GT(std::strlen(one.host.data()), 8U);
  for (std::size_t i = 0; i < one.address_count; ++i) {
    const Invitation::Address& address = one.addresses.at(i);
    const bool is_ipv4 = address[10] == 0xff && address[11] == 0xff && address[0] == 0;
    if (is_ipv4) {
      EXPECT_NE(address[12], 127) << "loopback";
      EXPECT_FALSE(address[12] == 169 && address[13] == 254) << "link-local";
    } else {
      EXPECT_FALSE(address[0] == 0xfe && (address[1] & 0xc0U) == 0x80) << "link-local";
    }
  }
}

// ---- coming in ----

TEST(liveness, single_rank_waits_for_nobody) {
  LivenessMonitor monitor{1, patient};
  EXPECT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  EXPECT_TRUE(port_is_closed(monitor.invitation()));
  EXPECT_TRUE(monitor.wait_until_all_left(limit));
}

TEST(liveness, no_ranks_are_refused) { EXPECT_THROW((LivenessMonitor{0, patient}), std::invalid_argument); }

TEST(liveness, workers_come_in_and_the_port_is_closed) {
  LivenessMonitor monitor{5, patient};
  const auto workers = enter_all(monitor, 5);
  EXPECT_TRUE(port_is_closed(monitor.invitation()));
  EXPECT_FALSE(monitor.has_news());
}

TEST(liveness, many_workers_come_in_at_once) {
  constexpr int ranks = 150;
  LivenessMonitor monitor{ranks, patient};
  std::vector<std::unique_ptr<Worker>> workers(ranks - 1);
  std::vector<std::thread> threads;
  for (int t = 0; t < 10; ++t) {
    threads.emplace_back([&, t] {
      for (int rank = 1 + t; rank < ranks; rank += 10) {
        workers.at(static_cast<std::size_t>(rank - 1)) = std::make_unique<Worker>(rank, monitor.invitation());
      }
    });
  }
  EXPECT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  for (std::thread& thread : threads) thread.join();
  monitor.request(ranks - 1, 5);
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("answer 149 5 6"));
}

TEST(liveness, workers_that_do_not_come_are_named_and_the_port_is_closed) {
  LivenessMonitor monitor{4, patient};
  const Worker second{2, monitor.invitation()};
  EXPECT_THAT(monitor.wait_for_workers(100ms), ElementsAre(1, 3));
  EXPECT_TRUE(port_is_closed(monitor.invitation()));
  EXPECT_THAT(monitor.wait_for_workers(limit), ElementsAre(1, 3)) << "at once, when the port is closed";
  monitor.request(2, 1);
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("answer 2 1 2"));
}

TEST(liveness, worker_is_reached_on_each_of_the_masters_addresses) {
  std::vector<Invitation::Address> addresses;
  {
    const LivenessMonitor monitor{1, patient};
    const Invitation& invitation = monitor.invitation();
    addresses.assign(invitation.addresses.begin(), invitation.addresses.begin() + invitation.address_count);
  }
  addresses.push_back({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1});
  if (std::ifstream{"/proc/net/if_inet6"}.peek() != EOF) {
    addresses.push_back({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
  }
  for (const Invitation::Address& address : addresses) {
    LivenessMonitor monitor{2, patient};
    Invitation invitation = monitor.invitation();
    invitation.host = {"another host"};
    invitation.addresses[0] = address;
    invitation.address_count = 1;
    const Worker worker{1, invitation};
    EXPECT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  }
}

TEST(liveness, worker_on_the_same_host_needs_no_address) {
  LivenessMonitor monitor{2, patient};
  Invitation invitation = monitor.invitation();
  invitation.address_count = 0;
  const Worker worker{1, invitation};
  EXPECT_THAT(monitor.wait_for_workers(limit), IsEmpty());
}

TEST(liveness, worker_elsewhere_does_not_try_its_own_loopback) {
  const LivenessMonitor monitor{2, patient};
  Invitation invitation = monitor.invitation();
  invitation.host = {"another host"};
  invitation.address_count = 0;
  try {
    const Worker worker{1, invitation};
    FAIL() << "it found a master";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("no address"));
  }
}

/// The system's calls for IPv6 sockets fail in this process from now on.
void switch_ipv6_off() {
  std::array<sock_filter, 6> code{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog program{code.size(), code.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    throw std::runtime_error("seccomp");
  }
}

TEST(liveness, works_where_there_is_no_ipv6) {
  Child child{[](const Child::Talk& talk) {
    switch_ipv6_off();
    talk.say(socket(AF_INET6, SOCK_STREAM, 0) < 0 ? "IPv6 is off" : "IPv6 is on");
    LivenessMonitor monitor{2, patient};
    const Worker worker{1, monitor.invitation()};
    talk.say("missing " + std::to_string(monitor.wait_for_workers(limit).size()));
  }};
  ASSERT_EQ(child.line(), "IPv6 is off");
  EXPECT_EQ(child.line(), "missing 0");
}

// ---- requests ----

TEST(liveness, requests_are_answered_by_the_rank_that_is_asked) {
  LivenessMonitor monitor{4, patient};
  const auto workers = enter_all(monitor, 4);
  for (int rank = 1; rank < 4; ++rank) {
    monitor.request(rank, 0xfedcba9876543210U + static_cast<unsigned>(rank));
    const auto news = news_of(monitor, 1);
    ASSERT_EQ(news.size(), 1U);
    EXPECT_EQ(news[0], text_of(Answer{rank, 0xfedcba9876543210U + static_cast<unsigned>(rank),
                                      0xfedcba9876543211U + static_cast<unsigned>(rank)}));
  }
  EXPECT_FALSE(monitor.has_news());
}

TEST(liveness, words_are_heard_by_the_other_end_and_not_answered) {
  std::atomic<int> calls = 0;
  LivenessMonitor monitor{3, brisk, [&] { ++calls; }};
  const auto workers = enter_all(monitor, 3, brisk);
  monitor.tell(1, 5);
  monitor.tell(2, 6);
  monitor.tell(1, 7);
  EXPECT_TRUE(wait_until([&] { return workers[0]->told == 12 && workers[1]->told == 6; }, limit));
  EXPECT_FALSE(monitor.has_news());
  workers[1]->beacon->tell(8);
  workers[1]->beacon->tell(9);
  EXPECT_THAT(news_of(monitor, 2), ElementsAre("word 2 8", "word 2 9"));
  EXPECT_TRUE(wait_until([&] { return calls == 2; }, limit));
  // What was said before an end is heard, whatever that end is.
  workers[0]->beacon->tell(10);
  workers[0]->beacon.reset();
  EXPECT_THAT(news_of(monitor, 2), ElementsAre("word 1 10", "lost 1 closed"));
  EXPECT_TRUE(wait_until([&] { return calls == 4; }, limit));
  monitor.tell(1, 11);  // nobody hears it
  EXPECT_FALSE(monitor.has_news());
}

TEST(liveness, many_requests_at_once_are_all_answered_in_order) {
  LivenessMonitor monitor{3, patient};
  const auto workers = enter_all(monitor, 3);
  constexpr std::uint64_t count = 2000;  // for each: less than what is taken for not reading
  for (std::uint64_t i = 0; i < count; ++i) {
    monitor.request(1, i);
    monitor.request(2, i);
  }
  std::array<std::uint64_t, 2> next{};
  (void)wait_until(
      [&] {
        for (const auto& one : monitor.news()) {
          const auto* got = std::get_if<Answer>(&one);
          if (got == nullptr) {
            ADD_FAILURE() << text_of(one);
            continue;
          }
          EXPECT_EQ(got->request, next.at(static_cast<std::size_t>(got->rank - 1))++);
          EXPECT_EQ(got->answer, got->request + 1);
        }
        return next[0] == count && next[1] == count;
      },
      limit);
  EXPECT_THAT(next, ElementsAre(count, count));
}

TEST(liveness, worker_that_takes_itself_for_connected_is) {
  for (int round = 0; round < 200; ++round) {
    LivenessMonitor monitor{3, patient};
    const Peer peer{monitor.invitation()};
    ASSERT_TRUE(peer.enter(1, monitor.invitation()));
    switch (round % 3) {
      case 0: EXPECT_THAT(monitor.wait_for_workers(0ms), ElementsAre(2)); break;
      case 1:
        monitor.request(1, 1);
        EXPECT_TRUE(peer.next_of(request));
        break;
      default: monitor.goodbye(); EXPECT_TRUE(peer.next_of(goodbye));
    }
  }
}

TEST(liveness, request_to_a_rank_that_never_came_says_that_it_is_lost_once) {
  LivenessMonitor monitor{3, patient};
  const Worker first{1, monitor.invitation()};
  EXPECT_THAT(monitor.wait_for_workers(0ms), ElementsAre(2));
  monitor.request(2, 1);
  monitor.request(2, 2);
  monitor.request(1, 3);
  EXPECT_THAT(news_of(monitor, 2), ElementsAre("lost 2 closed", "answer 1 3 4"));
}

TEST(liveness, ranks_that_are_no_workers_are_refused) {
  LivenessMonitor monitor{3, patient};
  for (const int rank : {-1, 0, 3}) {
    EXPECT_THROW(monitor.request(rank, 1), std::out_of_range) << rank;
    EXPECT_THROW(monitor.end(rank), std::out_of_range) << rank;
  }
}

TEST(liveness, slow_answer_of_one_keeps_nobody_else_waiting) {
  std::mutex busy;
  LivenessMonitor monitor{3, patient};
  const LivenessBeacon slow{1,
                            monitor.invitation(),
                            patient,
                            {.answer =
                                 [&](std::uint64_t) {
                                   const std::lock_guard lock{busy};
                                   return 0;
                                 }},
                            limit};
  const Worker second{2, monitor.invitation()};
  ASSERT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  {
    const std::lock_guard lock{busy};
    monitor.request(1, 1);
    monitor.request(2, 2);
    EXPECT_THAT(news_of(monitor, 1), ElementsAre("answer 2 2 3"));
  }
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("answer 1 1 0"));
  monitor.goodbye();
}

// ---- workers that are lost ----

TEST(liveness, killed_worker_is_lost_and_the_others_are_not) {
  Child first{worker(1, patient)};
  Child second{worker(2, patient)};
  LivenessMonitor monitor{3, patient};
  first.tell(monitor.invitation());
  second.tell(monitor.invitation());
  ASSERT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  first.signal(SIGKILL);
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("lost 1 closed"));
  monitor.request(1, 4);
  monitor.request(2, 5);
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("answer 2 5 6")) << "and the lost one is lost once";
}

TEST(liveness, worker_that_exits_without_a_goodbye_is_lost) {
  Child child{worker(1, patient)};
  LivenessMonitor monitor{2, patient};
  child.tell(monitor.invitation());
  ASSERT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  child.tell('x');
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("lost 1 closed"));
  EXPECT_TRUE(monitor.wait_until_all_left(limit)) << "nobody is left to wait for";
}

TEST(liveness, worker_that_destroys_its_beacon_without_a_goodbye_is_lost) {
  LivenessMonitor monitor{2, patient};
  auto workers = enter_all(monitor, 2);
  workers.clear();
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("lost 1 closed"));
}

TEST(liveness, worker_that_dies_while_others_are_awaited_is_lost_and_does_not_come_back) {
  LivenessMonitor monitor{3, patient};
  { const Worker first{1, monitor.invitation()}; }
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("lost 1 closed"));
  const Peer again{monitor.invitation()};
  EXPECT_FALSE(again.enter(1, monitor.invitation()));
  const Worker second{2, monitor.invitation()};
  EXPECT_THAT(monitor.wait_for_workers(limit), IsEmpty()) << "both have connected";
  EXPECT_FALSE(monitor.has_news());
}

TEST(liveness, stopped_worker_is_lost_once_and_ends_itself_when_it_is_continued) {
  Child child{worker(1, patient)};
  LivenessMonitor monitor{3, impatient};
  child.tell(monitor.invitation());
  ASSERT_EQ(child.line(), "in");
  const Pulse pulse{2, monitor.invitation()};
  ASSERT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  child.stop();
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("lost 1 silent"));
  monitor.request(1, 1);
  child.signal(SIGCONT);
  EXPECT_EQ(child.line(), "ended");
  EXPECT_EQ(child.exit_status(), 50);
  EXPECT_TRUE(pulse.count(15));
  EXPECT_FALSE(monitor.has_news());
}

TEST(liveness, silent_worker_is_lost_and_not_heard_any_more) {
  LivenessMonitor monitor{3, impatient};
  const Peer silent{monitor.invitation()};
  const Worker healthy{2, monitor.invitation(), impatient};
  ASSERT_TRUE(silent.enter(1, monitor.invitation()));
  ASSERT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  monitor.request(1, 7);
  const auto begin = Clock::now();
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("lost 1 silent"));
  EXPECT_GE(Clock::now() - begin, impatient.silence - 3 * impatient.silence / 10) << "too early";
  EXPECT_TRUE(silent.next_of(end, false));
  silent.send({.kind = answer, .content = {7, 8}});
  silent.send({.kind = heartbeat});
  silent.send({.kind = goodbye});
  monitor.request(1, 8);
  monitor.request(2, 9);
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("answer 2 9 10"));
  EXPECT_EQ(healthy.masters_lost, 0);
}

TEST(liveness, idle_workers_stay) {
  LivenessMonitor monitor{4, impatient};
  const Pulse pulse{1, monitor.invitation()};
  const Worker second{2, monitor.invitation(), impatient};
  const Worker third{3, monitor.invitation(), impatient};
  ASSERT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  EXPECT_TRUE(pulse.count(25));
  EXPECT_FALSE(monitor.has_news());
  EXPECT_EQ(second.masters_lost, 0);
  EXPECT_EQ(third.masters_lost, 0);
}

TEST(liveness, worker_that_does_not_read_is_lost_and_keeps_nobody_waiting) {
  LivenessMonitor monitor{3, patient};
  const Peer deaf{monitor.invitation(), 4096};
  const Worker second{2, monitor.invitation()};
  ASSERT_TRUE(deaf.enter(1, monitor.invitation()));
  ASSERT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  std::uint64_t asked = 0;
  ASSERT_TRUE(wait_until(
      [&] {
        for (int i = 0; i < 20'000; ++i) monitor.request(1, ++asked);
        deaf.send({.kind = heartbeat});
        return monitor.has_news();
      },
      limit));
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("lost 1 silent"));
  EXPECT_TRUE(deaf.is_closed());
  monitor.request(2, 1);
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("answer 2 1 2"));
}

TEST(liveness, worker_that_breaks_the_protocol_is_lost) {
  for (const std::uint32_t kind : {std::uint32_t{hello}, std::uint32_t{answer}, 0U, 77U}) {
    LivenessMonitor monitor{2, brisk};
    const Peer peer{monitor.invitation()};
    ASSERT_TRUE(peer.enter(1, monitor.invitation()));
    ASSERT_THAT(monitor.wait_for_workers(limit), IsEmpty());
    peer.send({.kind = kind});
    EXPECT_THAT(news_of(monitor, 1), ElementsAre("lost 1 closed")) << kind;
  }
}

TEST(liveness, frames_that_come_byte_by_byte_are_put_together) {
  LivenessMonitor monitor{2, patient};
  const Peer peer{monitor.invitation()};
  ASSERT_TRUE(peer.enter(1, monitor.invitation()));
  ASSERT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  monitor.request(1, 3);
  ASSERT_TRUE(peer.next_of(request));
  const Message message{.kind = answer, .content = {3, 33}};
  const std::string bytes{reinterpret_cast<const char*>(&message), sizeof message};
  for (const char byte : bytes) {
    EXPECT_FALSE(monitor.has_news());
    peer.send_bytes(std::string{byte});
    let_pass(1ms);
  }
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("answer 1 3 33"));
}

// ---- ending a rank ----

TEST(liveness, rank_that_is_given_up_ends_itself_and_is_not_news) {
  LivenessMonitor monitor{3, patient};
  auto workers = enter_all(monitor, 3);
  monitor.end(1);
  EXPECT_TRUE(wait_until([&] { return workers[0]->ended == 1; }, limit));
  workers[0].reset();
  monitor.request(1, 1);
  monitor.request(2, 2);
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("answer 2 2 3"));
}

TEST(liveness, rank_that_is_given_up_is_not_waited_for) {
  LivenessMonitor monitor{3, patient};
  auto workers = enter_all(monitor, 3);
  monitor.end(1);  // it goes on all the same
  workers[1]->beacon->goodbye();
  monitor.goodbye();
  EXPECT_TRUE(monitor.wait_until_all_left(limit));
}

TEST(liveness, news_of_a_rank_that_is_given_up_are_taken_back) {
  LivenessMonitor monitor{3, patient};
  const auto workers = enter_all(monitor, 3);
  monitor.request(1, 1);
  ASSERT_TRUE(wait_until([&] { return monitor.has_news(); }, limit));
  monitor.end(1);
  monitor.request(2, 2);
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("answer 2 2 3"));
}

TEST(liveness, rank_that_is_given_up_before_it_came_is_not_awaited) {
  LivenessMonitor monitor{3, patient};
  monitor.end(2);
  const Worker first{1, monitor.invitation()};
  EXPECT_THAT(monitor.wait_for_workers(limit), IsEmpty());
}

TEST(liveness, process_ends_as_broken_where_nobody_says_otherwise) {
  Child given_up{plain_worker};
  Child orphan{plain_worker};
  {
    LivenessMonitor monitor{2, patient};
    given_up.tell(monitor.invitation());
    ASSERT_THAT(monitor.wait_for_workers(limit), IsEmpty());
    monitor.end(1);
    EXPECT_EQ(given_up.exit_status(), 4);
  }
  {
    LivenessMonitor monitor{2, patient};
    orphan.tell(monitor.invitation());
    ASSERT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  }
  EXPECT_EQ(orphan.exit_status(), 4);
}

// ---- a master that is lost ----

TEST(liveness, workers_notice_that_the_master_was_killed) {
  Child first{worker(1, patient)};
  Child second{worker(2, patient)};
  Child child{master(3, patient)};
  const Invitation invitation = child.invitation();
  first.tell(invitation);
  second.tell(invitation);
  ASSERT_EQ(child.line(), "missing 0");
  ASSERT_EQ(first.line(), "in");
  ASSERT_EQ(second.line(), "in");
  child.signal(SIGKILL);
  EXPECT_EQ(first.line(), "master lost");
  EXPECT_EQ(second.line(), "master lost");
}

TEST(liveness, worker_notices_that_the_master_was_stopped) {
  Child first{worker(1, impatient)};
  Child child{master(2, impatient)};
  first.tell(child.invitation());
  ASSERT_EQ(child.line(), "missing 0");
  ASSERT_EQ(first.line(), "in");
  child.stop();
  EXPECT_EQ(first.line(), "master lost");
}

TEST(liveness, worker_notices_that_the_master_has_gone_without_a_goodbye) {
  auto monitor = std::make_unique<LivenessMonitor>(2, patient);
  const auto workers = enter_all(*monitor, 2);
  monitor.reset();
  EXPECT_TRUE(wait_until([&] { return workers[0]->masters_lost == 1; }, limit));
  EXPECT_EQ(workers[0]->ended, 0);
}

// ---- observers that were stopped themselves ----

TEST(liveness, nobody_is_lost_when_the_whole_job_is_stopped_and_continued) {
  Child first{worker(1, impatient)};
  Child second{worker(2, impatient)};
  Child child{master(3, impatient)};
  const Invitation invitation = child.invitation();
  first.tell(invitation);
  second.tell(invitation);
  ASSERT_EQ(child.line(), "missing 0");
  const std::array<Child*, 3> job{&child, &first, &second};
  for (int round = 0; round < 2; ++round) {
    for (const Child* process : job) process->stop();
    let_pass(2 * impatient.silence);
    for (const Child* process : job) process->signal(SIGCONT);
    let_pass(impatient.silence);  // for anybody to be judged wrongly
    child.tell('1');
    EXPECT_EQ(child.line(), "answer 1 7 8");
    child.tell('2');
    EXPECT_EQ(child.line(), "answer 2 7 8");
  }
}

/// A master process that is stopped for long; its worker, spoken for by the test, has owed it a heartbeat since before.
TEST(liveness, master_does_not_count_the_time_while_it_was_stopped) {
  Child child{master(2, impatient)};
  const Invitation invitation = child.invitation();
  const Peer peer{invitation};
  ASSERT_TRUE(peer.enter(1, invitation));
  ASSERT_EQ(child.line(), "missing 0");
  ASSERT_TRUE(peer.count_heartbeats(3));
  ASSERT_TRUE(peer.count_heartbeats(2, false)) << "nothing lies in the master's socket now";
  child.stop();
  let_pass(2 * impatient.silence);
  child.signal(SIGCONT);
  ASSERT_TRUE(peer.count_heartbeats(15)) << "it is told to end";
  child.tell('1');
  ASSERT_TRUE(peer.next_of(request));
  peer.send({.kind = answer, .content = {7, 70}});
  EXPECT_EQ(child.line(), "answer 1 7 70");
}

/// The worker has been silent for nearly too long when the master is stopped; its heartbeat comes before the master
/// goes on.
TEST(liveness, master_reads_what_has_arrived_before_it_judges) {
  constexpr LivenessOptions options{.silence = 2s};
  Child child{master(2, options)};
  const Invitation invitation = child.invitation();
  const Peer peer{invitation};
  ASSERT_TRUE(peer.enter(1, invitation));
  ASSERT_EQ(child.line(), "missing 0");
  ASSERT_TRUE(peer.count_heartbeats(2));
  ASSERT_TRUE(peer.count_heartbeats(9, false));
  child.stop();
  peer.send({.kind = heartbeat});
  let_pass(3 * options.silence / 10);
  child.signal(SIGCONT);
  ASSERT_TRUE(peer.count_heartbeats(5)) << "it is told to end";
  child.tell('1');
  ASSERT_TRUE(peer.next_of(request));
  peer.send({.kind = answer, .content = {7, 70}});
  EXPECT_EQ(child.line(), "answer 1 7 70");
}

/// The other way round, with a master that the test speaks for.
TEST(liveness, worker_does_not_count_the_time_while_it_was_stopped) {
  Child child{worker(1, impatient)};
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = local("127.0.0.1", 0);
  socklen_t length = sizeof address;
  ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener, 5), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length), 0);
  Invitation invitation{.shown_by_master = {3, 4}};
  invitation.port = ntohs(address.sin_port);
  invitation.address_count = 1;
  invitation.addresses[0] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
  child.tell(invitation);
  const Peer peer{accept(listener, nullptr, nullptr)};
  close(listener);
  ASSERT_TRUE(peer.next_of(hello));
  peer.send({.kind = welcome, .content = invitation.shown_by_master});
  ASSERT_TRUE(peer.next_of(ready));
  peer.send({.kind = heartbeat});
  ASSERT_TRUE(peer.next_of(heartbeat, false));
  child.stop();
  let_pass(2 * impatient.silence);
  child.signal(SIGCONT);
  let_pass(impatient.silence / 10);  // it looks around, and there is nothing
  for (int i = 0; i < 15; ++i) {
    peer.send({.kind = heartbeat});
    ASSERT_TRUE(peer.next_of(heartbeat, false)) << "it takes the master for lost: " << child.line();
    let_pass(impatient.silence / 10);
  }
}

// ---- goodbyes ----

TEST(liveness, worker_that_says_goodbye_is_not_lost) {
  LivenessMonitor monitor{3, patient};
  auto workers = enter_all(monitor, 3);
  workers[0]->beacon->goodbye();
  workers[0].reset();
  EXPECT_FALSE(monitor.wait_until_all_left(10ms)) << "the other one is there";
  workers[1]->beacon->goodbye();
  EXPECT_EQ(workers[1]->masters_lost, 0);
  workers[1].reset();
  EXPECT_TRUE(monitor.wait_until_all_left(limit));
  EXPECT_FALSE(monitor.has_news());
}

TEST(liveness, worker_that_exits_right_after_its_goodbye_is_not_lost) {
  constexpr int ranks = 13;
  std::vector<std::unique_ptr<Child>> children;
  for (int rank = 1; rank < ranks; ++rank) children.push_back(std::make_unique<Child>(worker(rank, patient)));
  LivenessMonitor monitor{ranks, patient};
  for (const auto& child : children) child->tell(monitor.invitation());
  ASSERT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  for (const auto& child : children) child->tell('e');
  EXPECT_TRUE(monitor.wait_until_all_left(limit));
  for (const auto& child : children) EXPECT_EQ(child->exit_status(), 0);
  EXPECT_FALSE(monitor.has_news());
}

TEST(liveness, goodbye_counts_although_the_connection_is_reset_after_it) {
  LivenessMonitor monitor{2, impatient};
  Peer peer{monitor.invitation()};
  ASSERT_TRUE(peer.enter(1, monitor.invitation()));
  ASSERT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  ASSERT_TRUE(peer.count_heartbeats(2));
  let_pass(impatient.silence / 5);  // there is something unread, so that closing resets the connection
  peer.send({.kind = goodbye});
  peer.hang_up();
  EXPECT_TRUE(monitor.wait_until_all_left(limit));
  EXPECT_FALSE(monitor.has_news());
}

TEST(liveness, rank_that_said_goodbye_still_answers_and_is_lost_where_it_owes_an_answer) {
  LivenessMonitor monitor{2, brisk};
  Peer peer{monitor.invitation()};
  ASSERT_TRUE(peer.enter(1, monitor.invitation()));
  ASSERT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  peer.send({.kind = goodbye});
  ASSERT_TRUE(monitor.wait_until_all_left(limit));
  monitor.request(1, 5);
  ASSERT_TRUE(peer.next_of(request));
  peer.send({.kind = answer, .content = {5, 6}});
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("answer 1 5 6"));
  monitor.request(1, 7);
  ASSERT_TRUE(peer.next_of(request));
  peer.hang_up();
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("lost 1 closed"));
}

TEST(liveness, request_to_a_rank_that_has_left_says_that_it_is_lost) {
  LivenessMonitor monitor{2, patient};
  auto workers = enter_all(monitor, 2);
  workers[0]->beacon->goodbye();
  workers.clear();
  ASSERT_TRUE(monitor.wait_until_all_left(limit));
  monitor.request(1, 5);
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("lost 1 closed"));
}

TEST(liveness, rank_that_said_goodbye_may_be_silent) {
  LivenessMonitor monitor{3, impatient};
  const Peer silent{monitor.invitation()};
  ASSERT_TRUE(silent.enter(1, monitor.invitation()));
  const Pulse pulse{2, monitor.invitation()};
  ASSERT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  silent.send({.kind = goodbye});
  EXPECT_TRUE(pulse.count(20));
  EXPECT_FALSE(monitor.has_news());
  while (const auto message = silent.next(0ms)) EXPECT_NE(message->kind, end);
}

TEST(liveness, after_the_masters_goodbye_nobody_is_lost) {
  auto monitor = std::make_unique<LivenessMonitor>(4, patient);
  auto workers = enter_all(*monitor, 4);
  monitor->goodbye();
  workers[0].reset();  // without a goodbye of its own
  workers[1]->beacon->goodbye();
  EXPECT_FALSE(monitor->wait_until_all_left(10ms)) << "the third is there";
  workers[2]->beacon->goodbye();
  EXPECT_TRUE(monitor->wait_until_all_left(limit));
  EXPECT_FALSE(monitor->has_news());
  monitor.reset();
  workers[1]->beacon->goodbye();  // to nobody
  EXPECT_EQ(workers[1]->masters_lost, 0);
  workers[1].reset();
  EXPECT_EQ(workers[2]->masters_lost, 0);
}

TEST(liveness, master_that_exits_right_after_its_goodbye_is_not_lost) {
  Child first{worker(1, patient)};
  Child second{worker(2, patient)};
  Child child{master(3, patient)};
  const Invitation invitation = child.invitation();
  first.tell(invitation);
  second.tell(invitation);
  ASSERT_EQ(child.line(), "missing 0");
  ASSERT_EQ(first.line(), "in");
  ASSERT_EQ(second.line(), "in");
  child.tell('g');
  ASSERT_EQ(child.line(), "said goodbye");
  child.signal(SIGKILL);
  first.tell('g');
  EXPECT_EQ(first.line(), "said goodbye");
  first.tell('d');
  EXPECT_EQ(first.line(), "destroyed");
  second.tell('d');
  EXPECT_EQ(second.line(), "destroyed");
}

TEST(liveness, after_the_masters_goodbye_silence_is_no_loss_either) {
  Child child{master(2, impatient)};
  Child first{worker(1, impatient)};
  first.tell(child.invitation());
  ASSERT_EQ(child.line(), "missing 0");
  ASSERT_EQ(first.line(), "in");
  child.tell('g');
  ASSERT_EQ(child.line(), "said goodbye");
  first.stop();
  let_pass(2 * impatient.silence);
  first.signal(SIGCONT);
  let_pass(impatient.silence / 10);
  child.stop();
  let_pass(2 * impatient.silence);
  first.tell('g');
  EXPECT_EQ(first.line(), "said goodbye");
  first.tell('d');
  EXPECT_EQ(first.line(), "destroyed");
}

// ---- strangers ----

TEST(liveness, strangers_are_refused_and_change_nothing) {
  LivenessMonitor monitor{3, brisk};
  const Invitation& invitation = monitor.invitation();
  const Pulse first{1, invitation};
  ASSERT_TRUE(first.count(1)) << "it is in";
  Invitation::Secret wrong = invitation.shown_by_worker;
  wrong[1] ^= 1U;
  Invitation::Secret wrong_too = invitation.shown_by_worker;
  wrong_too[0] ^= std::uint64_t{1} << 63U;
  const Message right{.kind = hello, .rank = 2, .content = invitation.shown_by_worker};
  const auto with = [&](auto change) {
    Message message = right;
    change(message);
    return message;
  };
  const std::vector<std::pair<const char*, Message>> shown{
      {"a wrong secret", with([&](Message& m) { m.content = wrong; })},
      {"another wrong secret", with([&](Message& m) { m.content = wrong_too; })},
      {"no secret", with([&](Message& m) { m.content = {}; })},
      {"the master's secret", with([&](Message& m) { m.content = invitation.shown_by_master; })},
      {"the master's rank", with([](Message& m) { m.rank = 0; })},
      {"a negative rank", with([](Message& m) { m.rank = -1; })},
      {"a rank too large", with([](Message& m) { m.rank = 3; })},
      {"a much too large rank", with([](Message& m) { m.rank = INT32_MAX; })},
      {"a rank that is in", with([](Message& m) { m.rank = 1; })},
      {"ready before hello", with([](Message& m) { m.kind = ready; })},
      {"an answer", with([](Message& m) { m.kind = answer; })},
      {"goodbye", with([](Message& m) { m.kind = goodbye; })},
  };
  for (const auto& [what, message] : shown) {
    const Peer stranger{invitation};
    ASSERT_TRUE(stranger.is_connected()) << what;
    stranger.send(message);
    EXPECT_FALSE(stranger.next()) << what << " is answered";
    EXPECT_TRUE(stranger.is_closed()) << what;
  }
  for (const std::string& bytes : {std::string{"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"},
                                   std::string(5'000'000, 'x'), std::string(5'000'000, '\0')}) {
    const Peer stranger{invitation};
    stranger.send_bytes(bytes);
    EXPECT_TRUE(stranger.is_closed()) << bytes.size() << " bytes";
  }
  EXPECT_FALSE(monitor.has_news());
  const Worker second{2, invitation, brisk};
  EXPECT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  monitor.request(1, 1);
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("answer 1 1 1"));
}

TEST(liveness, stranger_that_knows_the_secret_must_say_ready_next) {
  LivenessMonitor monitor{2, patient};
  const Peer stranger{monitor.invitation()};
  stranger.send({.kind = hello, .rank = 1, .content = monitor.invitation().shown_by_worker});
  ASSERT_TRUE(stranger.next_of(welcome));
  stranger.send({.kind = goodbye});
  EXPECT_TRUE(stranger.is_closed());
  const auto workers = enter_all(monitor, 2);
  EXPECT_FALSE(monitor.has_news());
}

TEST(liveness, worker_that_gave_an_address_up_halfway_may_come_by_another) {
  LivenessMonitor monitor{3, patient};
  const Peer halfway{monitor.invitation()};
  halfway.send({.kind = hello, .rank = 1, .content = monitor.invitation().shown_by_worker});
  ASSERT_TRUE(halfway.next_of(welcome));
  const Worker first{1, monitor.invitation()};
  const Peer late{monitor.invitation()};
  late.send({.kind = hello, .rank = 1, .content = monitor.invitation().shown_by_worker});
  EXPECT_TRUE(late.is_closed()) << "the rank is in by now";
  halfway.send({.kind = ready});
  EXPECT_TRUE(halfway.is_closed()) << "the rank is in by now";
  const Worker second{2, monitor.invitation()};
  EXPECT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  monitor.request(1, 1);
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("answer 1 1 2"));
}

TEST(liveness, strangers_that_say_nothing_or_little_are_put_out) {
  LivenessMonitor monitor{2, {.silence = patient.silence, .stranger = 200ms}};
  {
    const Peer silent{monitor.invitation()};
    EXPECT_TRUE(silent.is_closed());
  }
  {
    const Peer halfway{monitor.invitation()};
    halfway.send({.kind = hello, .rank = 1, .content = monitor.invitation().shown_by_worker});
    EXPECT_TRUE(halfway.is_closed());
  }
  const Peer trickling{monitor.invitation()};
  const auto begin = Clock::now();
  std::size_t sent = 0;  // of the 24 bytes of a frame
  while (!trickling.is_closed(50ms) && ++sent < 24) trickling.send_bytes(std::string(1, '\1'));
  EXPECT_LT(sent, 24U) << "after " << std::chrono::duration<double>(Clock::now() - begin).count() << " s";
  const auto workers = enter_all(monitor, 2);
}

TEST(liveness, hundreds_of_strangers_are_bounded_and_workers_come_in_all_the_same) {
  LivenessMonitor monitor{4, {.silence = 60s, .stranger = 60s}};
  std::vector<Peer> strangers;
  for (int i = 0; i < 400; ++i) {
    strangers.emplace_back(monitor.invitation());
    ASSERT_TRUE(strangers.back().is_connected());
  }
  EXPECT_TRUE(wait_until(
      [&] { return std::ranges::count_if(strangers, [](const Peer& one) { return !one.is_closed(0ms); }) <= 64 + 3; },
      limit))
      << "more are kept than the bound";
  EXPECT_FALSE(strangers.back().is_closed(0ms)) << "the youngest are kept";
  const auto workers = enter_all(monitor, 4);
  for (const Peer& one : strangers) EXPECT_TRUE(one.is_closed());
  EXPECT_FALSE(monitor.has_news());
}

/// Of this process.
double memory_mib() {
  std::ifstream file{"/proc/self/statm"};
  long all = 0;
  long resident = 0;
  file >> all >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

std::string bytes_of(const Message& message) { return {reinterpret_cast<const char*>(&message), sizeof message}; }

TEST(liveness, no_wrong_bit_of_a_proof_is_let_through) {
  LivenessMonitor monitor{3, patient};
  const Pulse first{1, monitor.invitation()};
  const Message right{.kind = hello, .rank = 2, .content = monitor.invitation().shown_by_worker};
  for (std::size_t bit = 0; bit < 8 * sizeof right; ++bit) {
    std::string bytes = bytes_of(right);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
    const Peer stranger{monitor.invitation()};
    stranger.send_bytes(bytes);
    EXPECT_FALSE(stranger.next()) << "bit " << bit;
  }
  const Worker second{2, monitor.invitation()};
  EXPECT_THAT(monitor.wait_for_workers(limit), IsEmpty());
}

/// Fixed numbers: each run does the same, but for who is faster.
TEST(liveness, random_strangers_change_nothing) {
  constexpr int strangers = 3000;
  constexpr std::size_t kept_open = 300;  // of which the monitor keeps fewer
  constexpr double most_growth_mib = 16;
  LivenessMonitor monitor{3, brisk};
  const Invitation& invitation = monitor.invitation();
  const Pulse first{1, invitation};
  ASSERT_TRUE(first.count(1)) << "it is in";
  const Message right{.kind = hello, .rank = 2, .content = invitation.shown_by_worker};
  std::mt19937 random{20261121};
  const auto below = [&](std::size_t end) { return std::uniform_int_distribution<std::size_t>{0, end - 1}(random); };
  const auto noise = [&](std::size_t size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(below(256));
    return bytes;
  };
  const double before_mib = memory_mib();
  std::deque<Peer> open;  // that are slow, or say nothing
  for (int i = 0; i < strangers; ++i) {
    Peer stranger{invitation};
    ASSERT_TRUE(stranger.is_connected());
    Message wrong = right;
    switch (below(8)) {
      case 0: stranger.send_bytes(noise(below(20'000))); break;
      case 1: stranger.send_bytes(bytes_of(right).substr(0, 1 + below(sizeof right - 1))); break;
      case 2:
        wrong.content[below(2)] ^= std::uint64_t{1} << below(64);
        stranger.send(wrong);
        break;
      case 3: {
        const std::string rest = noise(sizeof(Invitation::Secret));
        std::memcpy(&wrong.content, rest.data(), rest.size());
        for (int again = 0; again < 100; ++again) stranger.send(wrong);
        break;
      }
      case 4: stranger.reset(); continue;
      case 5: stranger.finish(); break;
      case 6:  // one that is slow
        if (!open.empty()) open[below(open.size())].send_bytes(noise(1));
        break;
      default: break;  // says nothing
    }
    open.push_back(std::move(stranger));
    if (open.size() > kept_open) open.pop_front();
  }
  EXPECT_LT(memory_mib() - before_mib, most_growth_mib);
  EXPECT_TRUE(first.count(2)) << "it goes on to hear the master";
  EXPECT_FALSE(monitor.has_news());
  const Worker second{2, invitation, brisk};
  EXPECT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  for (const Peer& one : open) EXPECT_TRUE(one.is_closed());
  monitor.request(1, 1);
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("answer 1 1 1"));
  monitor.request(2, 1);
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("answer 2 1 2"));
}

TEST(liveness, within_a_host_other_hosts_cannot_connect) {
  LivenessMonitor monitor{2, {.silence = patient.silence, .within_host = true}};
  EXPECT_EQ(monitor.invitation().address_count, 0U);
  // What listens on all addresses is reached on 127.0.0.2 as on those that other hosts know.
  EXPECT_FALSE(Peer("127.0.0.2", monitor.invitation().port).is_connected());
  const LivenessMonitor everywhere{2, patient};
  EXPECT_TRUE(Peer("127.0.0.2", everywhere.invitation().port).is_connected());
  const auto workers = enter_all(monitor, 2);
}

TEST(liveness, worker_that_has_proved_itself_is_not_put_out_for_strangers) {
  LivenessMonitor monitor{2, {.silence = 60s, .stranger = 60s}};
  const Peer slow{monitor.invitation()};
  slow.send({.kind = hello, .rank = 1, .content = monitor.invitation().shown_by_worker});
  ASSERT_TRUE(slow.next_of(welcome));
  std::vector<Peer> strangers;
  for (int i = 0; i < 400; ++i) strangers.emplace_back(monitor.invitation());
  EXPECT_TRUE(strangers.front().is_closed()) << "the strangers are bounded";
  slow.send({.kind = ready});
  EXPECT_THAT(monitor.wait_for_workers(limit), IsEmpty());
}

TEST(liveness, running_out_of_descriptors_neither_spins_nor_lasts) {
  Child child{[](const Child::Talk& talk) {
    LivenessMonitor monitor{2, patient};
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    const int next = dup(0);
    close(next);
    rlimit none = before;
    none.rlim_cur = static_cast<rlim_t>(next);
    setrlimit(RLIMIT_NOFILE, &none);
    if (write(talk.out, &monitor.invitation(), sizeof(Invitation)) != ssize_t{sizeof(Invitation)}) _exit(99);
    (void)talk.hear(24h);
    setrlimit(RLIMIT_NOFILE, &before);
    talk.say("missing " + std::to_string(monitor.wait_for_workers(limit).size()));
  }};
  const Invitation invitation = child.invitation();
  const Peer peer{invitation};
  ASSERT_TRUE(peer.is_connected());
  peer.send({.kind = hello, .rank = 1, .content = invitation.shown_by_worker});
  const double cpu_before = test::look_at(child.pid()).value().cpu_s;
  const auto begin = Clock::now();
  let_pass(1s);
  EXPECT_FALSE(peer.next(0ms)) << "it has a descriptor after all";
  const double elapsed_s = std::chrono::duration<double>(Clock::now() - begin).count();
  EXPECT_LT(test::look_at(child.pid()).value().cpu_s - cpu_before, elapsed_s / 4);
  child.tell('!');
  ASSERT_TRUE(peer.next_of(welcome));
  peer.send({.kind = ready});
  EXPECT_EQ(child.line(), "missing 0");
}

TEST(liveness, running_out_of_descriptors_puts_strangers_out) {
  Child child{[](const Child::Talk& talk) {
    LivenessMonitor monitor{2, {.silence = 60s, .stranger = 60s}};
    const int next = dup(0);
    close(next);
    rlimit few{};
    getrlimit(RLIMIT_NOFILE, &few);
    few.rlim_cur = static_cast<rlim_t>(next) + 5;
    setrlimit(RLIMIT_NOFILE, &few);
    if (write(talk.out, &monitor.invitation(), sizeof(Invitation)) != ssize_t{sizeof(Invitation)}) _exit(99);
    talk.say("missing " + std::to_string(monitor.wait_for_workers(limit).size()));
    (void)talk.hear(24h);
  }};
  const Invitation invitation = child.invitation();
  std::vector<Peer> strangers;
  for (int i = 0; i < 30; ++i) strangers.emplace_back(invitation);
  const Peer peer{invitation};
  EXPECT_TRUE(peer.enter(1, invitation));
  EXPECT_EQ(child.line(), "missing 0");
}

// ---- masters that are none ----

/// Listens where a worker looks for the master, each on an address of its own, all on one port.
class Impostors {
 public:
  Impostors() {
    invitation.shown_by_worker = {1, 2};
    invitation.shown_by_master = {3, 4};
    std::strcpy(invitation.host.data(), "another host");
  }
  ~Impostors() {
    for (const int fd : listeners_) close(fd);
  }
  Impostors(const Impostors&) = delete;
  Impostors& operator=(const Impostors&) = delete;

  /// 127.0.0.`last`; a worker that connects there is given what comes next.
  void invite(int last) {
    Invitation::Address& address = invitation.addresses.at(invitation.address_count++);
    address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127};
    address[15] = static_cast<std::uint8_t>(last);
  }
  [[nodiscard]] int listen_on(int last) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    listeners_.push_back(fd);
    sockaddr_in address = local(("127.0.0." + std::to_string(last)).c_str(), invitation.port);
    socklen_t length = sizeof address;
    if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || listen(fd, 16) != 0) {
      throw std::runtime_error("cannot listen");
    }
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
    invitation.port = ntohs(address.sin_port);
    return fd;
  }

  Invitation invitation;

 private:
  std::vector<int> listeners_;
};

/// Runs until the test ends, for one connection after the other.
class Service {
 public:
  Service(int listener, std::function<void(const Peer&)> serve)
      : listener_{listener}, thread_{[this, serve = std::move(serve)] {
          for (;;) {
            const int fd = accept(listener_, nullptr, nullptr);
            if (fd < 0) return;
            peers_.emplace_back(fd);
            serve(peers_.back());
          }
        }} {}
  ~Service() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
  }
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

 private:
  int listener_;
  std::vector<Peer> peers_;
  std::thread thread_;
};

std::string why_not(const Invitation& invitation, milliseconds within) {
  const auto begin = Clock::now();
  try {
    const Worker worker{1, invitation, patient, within};
    return "it found a master";
  } catch (const std::runtime_error& error) {
    EXPECT_LT(Clock::now() - begin, within + 10s);
    return error.what();
  }
}

TEST(liveness, worker_that_finds_no_master_says_what_it_tried) {
  Impostors impostors;
  (void)impostors.listen_on(2);
  impostors.invite(2);  // accepts, and says nothing
  const int wrong = impostors.listen_on(3);
  impostors.invite(3);
  impostors.invite(4);  // nobody there
  const Service service{wrong, [](const Peer& peer) {
                          (void)peer.next_of(hello);
                          peer.send({.kind = welcome, .content = {3, 5}});
                        }};
  const std::string why = why_not(impostors.invitation, 300ms);
  EXPECT_THAT(why, HasSubstr("rank 1 cannot reach the master"));
  EXPECT_THAT(why, HasSubstr("127.0.0.2: it connects, but does not answer"));
  EXPECT_THAT(why, HasSubstr("127.0.0.3: another program answers there"));
  EXPECT_THAT(why, HasSubstr("127.0.0.4: Connection refused"));
  EXPECT_THAT(why, HasSubstr("port " + std::to_string(impostors.invitation.port)));
  EXPECT_THAT(why, testing::Not(HasSubstr("\n")));
}

TEST(liveness, worker_goes_past_all_that_is_not_the_master) {
  Impostors impostors;
  const int wrong = impostors.listen_on(3);
  const int master_itself = impostors.listen_on(5);
  const int closing = impostors.listen_on(6);
  (void)impostors.listen_on(2);
  for (const int last : {2, 3, 4, 6, 5}) impostors.invite(last);
  const Service service{wrong, [](const Peer& peer) {
                          (void)peer.next_of(hello);
                          peer.send({.kind = welcome, .content = {3, 5}});
                        }};
  const Service other_service{closing, [](const Peer& peer) { const_cast<Peer&>(peer).hang_up(); }};
  std::atomic<bool> is_ready = false;
  const Service right{master_itself, [&](const Peer& peer) {
                        const auto shown = peer.next_of(hello);
                        if (!shown || shown->content != impostors.invitation.shown_by_worker) return;
                        peer.send({.kind = welcome, .content = {3, 4}});
                        is_ready = peer.next_of(ready).has_value();
                        peer.send({.kind = goodbye});
                      }};
  const Worker worker{1, impostors.invitation};
  EXPECT_TRUE(wait_until([&] { return is_ready.load(); }, limit));
}

TEST(liveness, worker_that_is_refused_tries_again) {
  Impostors impostors;
  const int listener = impostors.listen_on(2);
  impostors.invite(2);
  int count = 0;
  const Service service{listener, [&](const Peer& peer) {
                          if (++count < 4) return const_cast<Peer&>(peer).hang_up();
                          (void)peer.next_of(hello);
                          peer.send({.kind = welcome, .content = {3, 4}});
                          (void)peer.next_of(ready);
                          peer.send({.kind = goodbye});
                        }};
  const Worker worker{1, impostors.invitation};
}

TEST(liveness, worker_that_shows_a_wrong_secret_is_told_that_it_is_refused) {
  const LivenessMonitor monitor{2, patient};
  Invitation wrong = monitor.invitation();
  wrong.shown_by_worker[0] ^= 1U;
  EXPECT_THAT(why_not(wrong, 200ms), HasSubstr("refuses this rank"));
}

TEST(liveness, master_that_does_not_read_is_lost) {
  Impostors impostors;
  const int listener = impostors.listen_on(2);
  impostors.invite(2);
  std::atomic<bool> is_lost = false;
  const Service service{listener, [&](const Peer& peer) {
                          (void)peer.next_of(hello);
                          peer.send({.kind = welcome, .content = {3, 4}});
                          (void)peer.next_of(ready);
                          std::string many;
                          const Message message{.kind = request};
                          for (int i = 0; i < 10'000; ++i) {
                            many.append(reinterpret_cast<const char*>(&message), sizeof message);
                          }
                          const auto until = Clock::now() + limit;
                          while (!is_lost && Clock::now() < until) peer.send_bytes(many);
                        }};
  const LivenessBeacon beacon{1, impostors.invitation, patient, {.master_lost = [&] { is_lost = true; }}, limit};
  EXPECT_TRUE(wait_until([&] { return is_lost.load(); }, limit));
}

TEST(liveness, destructors_do_not_wait_for_a_master_that_says_nothing) {
  Impostors impostors;
  const int listener = impostors.listen_on(2);
  impostors.invite(2);
  const Service service{listener, [&](const Peer& peer) {
                          (void)peer.next_of(hello);
                          peer.send({.kind = welcome, .content = {3, 4}});
                          (void)peer.next_of(ready);
                        }};
  auto worker = std::make_unique<Worker>(1, impostors.invitation);
  worker->beacon->goodbye();
  const auto begin = Clock::now();
  worker.reset();
  EXPECT_LT(Clock::now() - begin, 10s);
}

TEST(liveness, destructors_do_not_wait_for_workers_that_say_nothing) {
  auto monitor = std::make_unique<LivenessMonitor>(3, patient);
  const Peer silent{monitor->invitation()};
  const Peer stranger{monitor->invitation()};
  ASSERT_TRUE(silent.enter(1, monitor->invitation()));
  monitor->goodbye();
  const auto begin = Clock::now();
  monitor.reset();
  EXPECT_LT(Clock::now() - begin, 10s);
  EXPECT_TRUE(silent.next_of(goodbye, false));
  EXPECT_TRUE(silent.is_closed());
  EXPECT_TRUE(stranger.is_closed());
}

// ---- threads and descriptors ----

/// The threads that the liveness made in this process, and what /proc says about each.
std::vector<std::string> statuses() {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/task"}) {
    std::ostringstream text;
    text << std::ifstream{entry.path() / "status"}.rdbuf();
    if (text.str().find("Name:\techelon-") == 0) found.push_back(text.str());
  }
  return found;
}

std::uint64_t number_in(const std::string& status, const std::string& field, int base) {
  return std::stoull(status.substr(status.find(field + ":") + field.size() + 1), nullptr, base);
}

TEST(liveness, no_signal_is_delivered_to_its_threads) {
  LivenessMonitor monitor{2, patient};
  const auto workers = enter_all(monitor, 2);
  // A thread that has been joined may stay in /proc for a moment: the kernel wakes the joiner first.
  EXPECT_TRUE(wait_until([] { return statuses().size() == 2U; }, limit)) << statuses().size();
  for (const std::string& status : statuses()) {
    const std::uint64_t blocked = number_in(status, "SigBlk", 16);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGALRM, SIGUSR1, SIGUSR2, SIGTSTP, SIGPIPE, SIGQUIT}) {
      EXPECT_NE(blocked & (std::uint64_t{1} << static_cast<unsigned>(number - 1)), 0U) << number << "\n" << status;
    }
  }
  sigset_t mine{};
  pthread_sigmask(SIG_BLOCK, nullptr, &mine);
  EXPECT_EQ(sigismember(&mine, SIGTERM), 0) << "and this thread's are as they were";
}

TEST(liveness, idle_threads_wake_once_a_period) {
  constexpr LivenessOptions options{.silence = 1s};
  constexpr int ranks = 9;
  constexpr int periods = 20;
  LivenessMonitor monitor{ranks, options};
  const Pulse pulse{ranks - 1, monitor.invitation()};
  std::vector<std::unique_ptr<Worker>> workers;
  for (int rank = 1; rank < ranks - 1; ++rank) {
    workers.push_back(std::make_unique<Worker>(rank, monitor.invitation(), options));
  }
  ASSERT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  const auto wakes = [] {
    std::vector<std::uint64_t> counts;
    for (const std::string& status : statuses()) counts.push_back(number_in(status, "voluntary_ctxt_switches", 10));
    return counts;
  };
  ASSERT_TRUE(pulse.count(2));
  const auto before = wakes();
  ASSERT_TRUE(pulse.count(periods));
  const auto after = wakes();
  ASSERT_EQ(before.size(), static_cast<std::size_t>(ranks - 1)) << "the master's thread and seven workers'";
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 0; i < after.size(); ++i) EXPECT_LE(after[i] - before[i], 2U * periods);
}

TEST(liveness, programs_that_are_started_inherit_no_socket) {
  const auto open_descriptors = [] {
    std::set<int> found;
    for (int fd = 0; fd < 1024; ++fd) {
      if (fcntl(fd, F_GETFD) >= 0) found.insert(fd);
    }
    return found;
  };
  const std::set<int> before = open_descriptors();
  {
    LivenessMonitor monitor{3, patient};
    const Worker first{1, monitor.invitation()};
    int count = 0;
    for (const int fd : open_descriptors()) {
      if (before.contains(fd)) continue;
      ++count;
      EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << fd;
      sockaddr_storage other{};
      socklen_t length = sizeof other;
      if (getpeername(fd, reinterpret_cast<sockaddr*>(&other), &length) != 0) continue;
      int no_delay = 0;
      length = sizeof no_delay;
      EXPECT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &length), 0);
      EXPECT_NE(no_delay, 0) << "small messages would wait for others";
    }
    EXPECT_GE(count, 6) << "a listener, an epoll, two events, two ends of a connection";
    monitor.goodbye();
  }
  EXPECT_EQ(open_descriptors(), before) << "and all are closed in the end";
}

TEST(liveness, connections_close_although_a_forked_child_holds_them) {
  LivenessMonitor monitor{3, patient};
  auto first = std::make_unique<Worker>(1, monitor.invitation());
  const Worker second{2, monitor.invitation()};
  const Child child{[](const Child::Talk& talk) { (void)talk.hear(24h); }};
  EXPECT_THAT(monitor.wait_for_workers(limit), IsEmpty());
  first.reset();
  EXPECT_THAT(news_of(monitor, 1), ElementsAre("lost 1 closed"));
  monitor.goodbye();
}

TEST(liveness, port_is_closed_although_a_forked_child_holds_it) {
  LivenessMonitor monitor{2, patient};
  const Child child{[](const Child::Talk& talk) { (void)talk.hear(24h); }};
  const auto workers = enter_all(monitor, 2);
  EXPECT_TRUE(port_is_closed(monitor.invitation()));
  monitor.goodbye();
}

}  // namespace
}  // namespace echelon::comm
