// How the starter sees that ranks die while MPI starts, by processes that only say what ranks say.
#include "launch/start_watch.hpp"

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <echelon/base/processes.hpp>
#include <echelon/base/sockets.hpp>
#include <echelon/launch/rank_report.hpp>

#include "launch/caretaker.hpp"
#include "launch/rank_watch.hpp"
#include "launch/watch_place.hpp"
#include "support/run_program.hpp"

namespace echelon::launch {
namespace {

using test::wait_until;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* token = "0123456789abcdef0123456789abcdef";

/// A process that plays a rank, or a launcher; it is killed at the end.
class Child {
 public:
  template <typename Body>
  explicit Child(const Body& body) : pid_{fork()} {
    if (pid_ != 0) return;
    body();
    for (;;) pause();
  }
  ~Child() { end(SIGKILL); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void end(int signal) {
    if (pid_ <= 0) return;
    kill(pid_, signal);
    waitpid(std::exchange(pid_, -1), nullptr, 0);
  }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

 private:
  pid_t pid_;
};

class start : public testing::Test {
 protected:
  explicit start(bool within_host = true) : watch_{4, token, within_host} {
    setenv(watch_variable, watch_.place().c_str(), 1);
    setenv(launched_variable, token, 1);
  }
  ~start() override {
    unsetenv(watch_variable);
    unsetenv(launched_variable);
  }

  [[nodiscard]] bool see(const std::function<bool()>& holds) {
    return wait_until(
        [&] {
          watch_.step();
          return holds();
        },
        std::chrono::seconds{60});
  }
  [[nodiscard]] bool see_begun(int rank) {
    return see([&] { return watch_.ranks()[static_cast<std::size_t>(rank)].process != 0; });
  }
  [[nodiscard]] bool see_ended(int rank) {
    return see([&] { return watch_.ranks()[static_cast<std::size_t>(rank)].has_ended; });
  }
  /// What `looks` takes for lost, in the end.
  [[nodiscard]] std::vector<int> lost(StartWatch& looks, pid_t launcher) {
    EXPECT_TRUE(see([&] {
      looks.look(launcher);
      return !looks.lost().empty();
    }));
    return looks.lost();
  }

  RankWatch watch_;
};

class start_watch : public start, public testing::WithParamInterface<bool> {
 protected:
  start_watch() : start{GetParam()} {}
};

INSTANTIATE_TEST_SUITE_P(, start_watch, testing::Bool(),
                         [](const auto& tested) { return tested.param ? "within_host" : "everywhere"; });

TEST_P(start_watch, rank_is_known_by_its_process) {
  const Child rank{[] { tell_begun(2); }};
  ASSERT_TRUE(see_begun(2));
  EXPECT_EQ(watch_.ranks()[2].process, rank.pid());
  EXPECT_FALSE(watch_.ranks()[2].has_ended);
  EXPECT_THAT(watch_.ended_at_start(), IsEmpty());
}

TEST_P(start_watch, end_is_seen_however_it_comes) {
  for (const int signal : {SIGKILL, SIGTERM, SIGSEGV}) {
    RankWatch watch{1, token, GetParam()};
    setenv(watch_variable, watch.place().c_str(), 1);
    Child rank{[] { tell_begun(0); }};
    ASSERT_TRUE(wait_until([&] { return watch.step(), watch.ranks()[0].process != 0; }));
    rank.end(signal);
    ASSERT_TRUE(wait_until([&] { return watch.step(), watch.ranks()[0].has_ended; }));
    EXPECT_TRUE(watch.killed_at_start());
  }
}

TEST_P(start_watch, who_exits_is_told_from_who_is_killed) {
  const Child rank{[] {
    tell_begun(1);
    std::exit(3);
  }};
  ASSERT_TRUE(see_ended(1));
  EXPECT_THAT(watch_.ended_at_start(), ElementsAre(1));
  EXPECT_FALSE(watch_.killed_at_start());
  EXPECT_EQ(watch_.ranks()[1].exits, 3);
  EXPECT_FALSE(watch_.first_killed());
}

TEST_P(start_watch, what_a_rank_tells_is_heard_though_it_is_killed_at_once) {
  const std::string reason = "line 1\nline 2 " + std::string(10'000, 'x');
  Child rank{[&] {
    tell_begun(1);
    (void)tell_out_of_reach();
    tell_outcome(3);
    tell_outcome(75);
    (void)tell_reason(reason);
    tell_abort(7, true);
    raise(SIGKILL);
  }};
  ASSERT_TRUE(see_ended(1));
  EXPECT_EQ(watch_.outcome(), 75);
  EXPECT_THAT(watch_.reasons(), ElementsAre(reason));
  EXPECT_TRUE(watch_.is_out_of_reach());
  ASSERT_TRUE(watch_.abort());
  EXPECT_EQ(watch_.abort()->rank, 1);
  EXPECT_EQ(watch_.abort()->status, 7);
  EXPECT_TRUE(watch_.abort()->is_explained);
  EXPECT_EQ(watch_.first_killed(), 1);
}

TEST_P(start_watch, reason_that_nobody_takes_is_the_callers_to_print) {
  EXPECT_FALSE(tell_reason("this process is no rank"));
}

// As the helper process that runs commands, and what tasks leave behind.
TEST_P(start_watch, process_forked_by_a_rank_does_not_hide_its_end) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  Child rank{[&] {
    tell_begun(1);
    if (fork() == 0) {
      const pid_t self = getpid();
      (void)!write(ends[1], &self, sizeof(self));
      for (;;) pause();
    }
  }};
  pid_t left = 0;
  ASSERT_EQ(read(ends[0], &left, sizeof(left)), static_cast<ssize_t>(sizeof(left)));
  ASSERT_TRUE(see_begun(1));
  rank.end(SIGKILL);
  EXPECT_TRUE(see_ended(1));
  kill(left, SIGKILL);
  close(ends[0]);
  close(ends[1]);
}

TEST_P(start_watch, only_rank_0_ends_the_start) {
  const Child other{[] {
    tell_begun(1);
    tell_started();
  }};
  ASSERT_TRUE(see_begun(1));
  EXPECT_FALSE(watch_.have_started());
  Child master{[] {
    tell_begun(0);
    tell_started();
  }};
  ASSERT_TRUE(see([&] { return watch_.have_started(); }));
  master.end(SIGKILL);
  ASSERT_TRUE(see_ended(0));
  EXPECT_THAT(watch_.ended_at_start(), IsEmpty());
}

TEST_P(start_watch, nobody_else_is_taken_for_a_rank) {
  const auto place = WatchPlace::parse(watch_.place());
  ASSERT_TRUE(place);
  std::vector<base::Descriptor> strangers;
  for (const std::string text : {"", "\n", "begun x 1 2\n", "begun 0123456789abcdef0123456789abcdef 4 2 h 1\n",
                                 "begun 0123456789abcdef0123456789abcdef -1 2 h 1\n", "started\n", "outcome 3\n"}) {
    strangers.push_back(base::start_connecting(base::loopback(), place->port));
    ASSERT_TRUE(strangers.back().is_open());
    pollfd one{strangers.back().get(), POLLOUT, 0};
    ASSERT_EQ(poll(&one, 1, 60'000), 1);
    ASSERT_EQ(send(one.fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  const std::string endless(1'000'000, 'x');
  (void)send(strangers.front().get(), endless.data(), endless.size(), MSG_NOSIGNAL);
  const Child rank{[] { tell_begun(3); }};
  ASSERT_TRUE(see_begun(3));
  EXPECT_FALSE(watch_.have_started());
  EXPECT_FALSE(watch_.outcome());
  for (const int other : {0, 1, 2}) EXPECT_EQ(watch_.ranks()[static_cast<std::size_t>(other)].process, 0);
}

TEST_P(start_watch, starter_out_of_reach_keeps_no_rank) {
  for (const char* place : {"", "x", "1,elsewhere", "1,elsewhere,127.0.0.1", "1,elsewhere,no.address,::1"}) {
    setenv(watch_variable, place, 1);
    Child rank{[] {
      tell_begun(0);
      tell_started();
      _exit(0);
    }};
    EXPECT_TRUE(wait_until([&] { return test::look_at(rank.pid())->state == 'Z'; }));
  }
}

TEST_F(start, place_is_read_as_it_was_written) {
  const auto place = WatchPlace::parse("4711,1 a-b,10.1.2.3,fe80::1");
  ASSERT_TRUE(place);
  EXPECT_EQ(place->port, 4711);
  EXPECT_EQ(place->host, "1 a-b");
  EXPECT_EQ(place->addresses.size(), 2U);
  EXPECT_EQ(place->text(), "4711,1 a-b,10.1.2.3,fe80::1");
}

TEST_F(start, ranks_that_end_at_the_start_are_lost_together) {
  StartWatch looks{watch_, false};
  Child first{[] { tell_begun(3); }};
  Child second{[] { tell_begun(1); }};
  const Child third{[] { tell_begun(2); }};
  ASSERT_TRUE(see_begun(1) && see_begun(2) && see_begun(3));
  looks.look(getpid());
  EXPECT_THAT(looks.lost(), IsEmpty());
  first.end(SIGKILL);
  second.end(SIGKILL);
  EXPECT_THAT(lost(looks, getpid()), ElementsAre(1, 3));
}

/// A launcher whose ranks are its children; the rank `dead` dies before it begins.
void launch_all_but(int dead) {
  for (int rank = 0; rank < 4; ++rank) {
    const pid_t child = fork();
    if (child == 0) {
      if (rank == dead) _exit(0);
      tell_begun(rank);
      for (;;) pause();
    }
    if (rank == dead) waitpid(child, nullptr, 0);
  }
}

TEST_F(start, rank_that_dies_before_it_begins_is_seen_by_its_launcher) {
  StartWatch looks{watch_, true};
  Child launcher{[] { launch_all_but(3); }};
  EXPECT_THAT(lost(looks, launcher.pid()), ElementsAre(3));
  launcher.end(SIGKILL);
  for (const auto& rank : watch_.ranks()) {
    if (rank.process != 0) kill(rank.process, SIGKILL);
  }
}

TEST_F(start, rank_of_another_node_is_missed_once_the_others_have_long_begun) {
  StartWatch looks{watch_, false, std::chrono::milliseconds{500}};
  const Child second{[] { tell_begun(1); }};
  ASSERT_TRUE(see_begun(1));
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{1};
  while (std::chrono::steady_clock::now() < until) looks.look(getpid());
  EXPECT_THAT(looks.lost(), IsEmpty()) << "without rank 0 nobody would say that the start is over";
  const Child first{[] { tell_begun(0); }};
  ASSERT_TRUE(see_begun(0));
  EXPECT_THAT(lost(looks, getpid()), ElementsAre(2, 3));
}

TEST_F(start, launcher_that_has_more_to_start_is_waited_for) {
  using namespace std::chrono_literals;
  StartWatch looks{watch_, true};
  // The second rank takes its time to run its program, and then the launcher to start the third.
  Child launcher{[] {
    const auto begin = [](int rank) {
      if (fork() == 0) {
        if (rank == 1) poll(nullptr, 0, 2000);
        tell_begun(rank);
        for (;;) pause();
      }
    };
    begin(0);
    begin(1);
    const auto end = std::chrono::steady_clock::now() + 4s;
    while (std::chrono::steady_clock::now() < end) {
    }
    begin(2);
    begin(3);
  }};
  EXPECT_TRUE(see([&] {
    looks.look(launcher.pid());
    return watch_.ranks()[3].process != 0 || !looks.lost().empty();
  }));
  EXPECT_THAT(looks.lost(), IsEmpty());
  launcher.end(SIGKILL);
  for (const auto& rank : watch_.ranks()) {
    if (rank.process != 0) kill(rank.process, SIGKILL);
  }
}

class caretaker : public testing::Test {
 protected:
  static constexpr const char* entry = "ECHELON_CARETAKER_TEST=1";
  std::filesystem::path folder_ = "/dev/shm/echelon-test-" + std::to_string(getpid());
};

TEST_F(caretaker, sees_to_the_end_where_the_starter_is_killed) {
  Child starter{[&] {
    const Caretaker keeper{folder_, entry};
    std::filesystem::create_directories(folder_ / "part");
    std::ofstream{folder_ / "part" / "file"} << "text";
    // It ends neither with the starter, nor when it is asked to.
    if (fork() == 0) execlp("env", "env", entry, "sh", "-c", "trap '' TERM HUP; while :; do sleep 1; done", nullptr);
    for (;;) pause();
  }};
  ASSERT_TRUE(wait_until([&] { return !base::processes_with(entry).empty(); }));
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(folder_ / "part" / "file"); }));
  starter.end(SIGKILL);
  EXPECT_TRUE(wait_until([&] { return !std::filesystem::exists(folder_); }));
  EXPECT_TRUE(wait_until([&] { return base::processes_with(entry).empty(); }));
}

TEST_F(caretaker, does_nothing_once_it_is_dismissed) {
  std::filesystem::create_directories(folder_);
  {
    Caretaker keeper{folder_, entry};
    EXPECT_EQ(base::children().size(), 1U);
    for (const pid_t child : base::children()) {
      for (const int signal : {SIGTERM, SIGINT, SIGHUP}) kill(child, signal);
    }
    keeper.dismiss();
    EXPECT_THAT(base::children(), IsEmpty());
  }
  EXPECT_TRUE(std::filesystem::exists(folder_));
  std::filesystem::remove_all(folder_);
}

}  // namespace
}  // namespace echelon::launch
