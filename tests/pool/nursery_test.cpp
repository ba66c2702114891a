// One task in a process of its own, and what becomes of all processes then.
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <echelon/base/processes.hpp>
#include <echelon/pool/nursery.hpp>
#include <echelon/pool/task_type.hpp>

#include "pool/wire.hpp"
#include "support/run_program.hpp"

namespace echelon::pool::detail {
namespace {

using test::wait_until;

/// What the nursery says to the master: the result, "failed TYPE: TEXT", "signal N" or "status N".
template <typename R>
std::string text(const comm::Packer& message) {
  comm::Unpacker from{message.view()};
  if (from.get<ToMaster>() == ToMaster::crashed) {
    if (from.get<farm::Tasks>() != farm::Tasks{3, 4, 1}) return "of another task";
    const auto ended = from.get<Ended>();
    return ended.signal != 0 ? "signal " + std::to_string(ended.signal) : "status " + std::to_string(ended.status);
  }
  const auto head = from.get<ResultsHead>();
  if (head.tasks != farm::Tasks{3, 4, 1}) return "of another task";
  if (head.failed) {
    const auto type = from.get<std::string>();
    return "failed " + type + ": " + from.get<std::string>();
  }
  if constexpr (std::is_same_v<R, std::string>) {
    return unpack_sized<R>(from);
  } else {
    return std::to_string(unpack_sized<R>(from));
  }
}

template <typename F, typename A>
std::string run(Nursery& nursery, F f, const A& argument) {
  comm::Packer function;
  pack_function(function, f);
  comm::Packer arguments;
  pack_sized<A>(arguments, argument);
  const TasksHead head{{{3, 4, 1}, 17, true, true},
                       function.size(),
                       FixedSize<A>::value.value_or(varies),
                       encode(&task_type<Call::whole, F, A>),
                       true,
                       true};
  using R = std::remove_cvref_t<Result<Call::whole, F, A>>;
  return text<R>(nursery.run(head, function.view(), arguments.view()));
}

class nursery : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(nursery_, nullptr); }
  ~nursery() override {
    nursery_.reset();
    EXPECT_TRUE(wait_until([] { return base::children().empty(); }));
  }
  std::unique_ptr<Nursery> nursery_ = Nursery::start();
};

TEST_F(nursery, runs_a_task_and_brings_its_result) {
  EXPECT_EQ(run(
                *nursery_, [](int x) { return 2 * x; }, 21),
            "42");
  EXPECT_EQ(run(
                *nursery_, [](const std::string& x) { return x + "!"; }, std::string{"hello"}),
            "hello!");
}

TEST_F(nursery, brings_what_a_task_throws) {
  const auto fails = [](int x) -> int { throw std::out_of_range("no " + std::to_string(x)); };
  EXPECT_EQ(run(*nursery_, fails, 7), "failed std::out_of_range: no 7");
}

TEST_F(nursery, tells_how_a_task_crashed_and_goes_on) {
  EXPECT_EQ(run(
                *nursery_, [](int x) { return raise(SIGKILL) + x; }, 1),
            "signal 9");
  EXPECT_EQ(run(
                *nursery_, [](int x) -> int { return std::abort(), x; }, 1),
            "signal 6");
  EXPECT_EQ(run(
                *nursery_, [](int x) -> int { _exit(x); }, 3),
            "status 3");
  EXPECT_EQ(run(
                *nursery_, [](int x) -> int { std::exit(x); }, 0),
            "status 0");
  EXPECT_EQ(run(
                *nursery_, [](int x) { return x; }, 5),
            "5");
}

TEST_F(nursery, moves_large_arguments_and_results) {
  std::vector<int> large(std::size_t{1} << 23);
  std::iota(large.begin(), large.end(), 0);
  const auto f = [](std::vector<int> x) {
    for (int& value : x) value ^= 1;
    return std::string(reinterpret_cast<const char*>(x.data()), x.size() * sizeof(int));
  };
  const std::string expected = f(large);
  EXPECT_TRUE(run(*nursery_, f, large) == expected);
}

TEST_F(nursery, is_not_seen_by_the_programs_own_wait_and_sends_no_signal) {
  static volatile sig_atomic_t told = 0;
  const auto before = signal(SIGCHLD, [](int) { told = 1; });
  EXPECT_EQ(run(
                *nursery_, [](int x) { return raise(SIGKILL) + x; }, 1),
            "signal 9");
  EXPECT_EQ(wait(nullptr), -1);
  EXPECT_EQ(errno, ECHILD);
  nursery_.reset();
  EXPECT_EQ(told, 0);
  signal(SIGCHLD, before);
}

TEST_F(nursery, a_process_that_a_task_leaves_behind_holds_up_nothing) {
  const auto leaves = [](int) {
    const pid_t child = fork();
    if (child != 0) return child;
    for (;;) pause();
  };
  const pid_t left = std::stoi(run(*nursery_, leaves, 0));
  EXPECT_EQ(kill(left, SIGKILL), 0);
}

TEST_F(nursery, a_forked_child_that_comes_back_from_the_task_answers_for_nobody) {
  const auto forks = [](int x) {
    const pid_t child = fork();
    if (child == 0) return -1;
    waitpid(child, nullptr, 0);
    return x;
  };
  for (int i = 0; i < 20; ++i) EXPECT_EQ(run(*nursery_, forks, i), std::to_string(i));
}

TEST_F(nursery, its_tasks_take_no_stop_requests_but_programs_that_they_start_do) {
  const auto stops = [](int) {
    for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP}) raise(signal);
    return std::system("kill -TERM $$");
  };
  EXPECT_EQ(run(*nursery_, stops, 0), std::to_string(SIGTERM));
}

TEST_F(nursery, that_was_killed_can_run_nothing_any_more) {
  const auto children = base::children();
  ASSERT_EQ(children.size(), 1U);
  EXPECT_EQ(kill(children.front(), SIGKILL), 0);
  EXPECT_EQ(run(
                *nursery_, [](int x) { return x; }, 1),
            "status -1");
  EXPECT_EQ(run(
                *nursery_, [](int x) { return x; }, 1),
            "status -1");
}

TEST(nursery_start, keeps_files_but_no_pipes) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  static int file = -1;
  static int pipe_end = -1;
  file = open("/dev/null", O_WRONLY);
  pipe_end = ends[1];
  const auto nursery = Nursery::start();
  ASSERT_NE(nursery, nullptr);
  EXPECT_EQ(run(
                *nursery, [](int) { return write(file, "x", 1) == 1 && fcntl(pipe_end, F_GETFD) < 0 ? 1 : 0; }, 0),
            "1");
  close(ends[1]);
  char byte = 0;
  EXPECT_EQ(read(ends[0], &byte, 1), 0) << "the end of the file is seen";
  close(ends[0]);
  close(file);
}

TEST(nursery_start, writes_nothing_twice_that_the_program_had_written_before) {
  const std::unique_ptr<FILE, int (*)(FILE*)> out{tmpfile(), &std::fclose};
  std::fputs("before", out.get());
  {
    const auto nursery = Nursery::start();
    ASSERT_NE(nursery, nullptr);
    EXPECT_EQ(run(
                  *nursery, [](int x) { return x; }, 1),
              "1");
  }
  std::fflush(out.get());
  EXPECT_EQ(std::ftell(out.get()), 6);
}

TEST(nursery_start, is_refused_beside_other_threads) {
  std::atomic<bool> stop{false};
  std::thread other{[&] {
    while (!stop) std::this_thread::yield();
  }};
  EXPECT_EQ(Nursery::start(), nullptr);
  stop = true;
  other.join();
}

TEST(nursery_start, and_its_task_end_with_their_rank_however_that_ends) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  const pid_t rank = fork();
  if (rank == 0) {
    const auto nursery = Nursery::start();
    const auto tell = [end = ends[1]](pid_t pid) { return write(end, &pid, sizeof(pid)) == sizeof(pid); };
    if (!tell(base::children().front())) _exit(1);
    std::thread{[&] {
      while (base::descendants().size() < 2) poll(nullptr, 0, 1);
      (void)tell(base::descendants().back());
    }}.detach();
    (void)run(
        *nursery, [](int) { return pause(); }, 0);
    _exit(0);
  }
  close(ends[1]);
  std::array<pid_t, 2> pids{};
  for (pid_t& pid : pids) ASSERT_EQ(read(ends[0], &pid, sizeof(pid)), static_cast<ssize_t>(sizeof(pid)));
  EXPECT_EQ(kill(rank, SIGKILL), 0);
  EXPECT_EQ(waitpid(rank, nullptr, 0), rank);
  for (const pid_t pid : pids) {
    EXPECT_TRUE(wait_until([&] {
      const auto process = test::look_at(pid);
      return !process || process->state == 'Z';
    })) << pid;
  }
  close(ends[0]);
}

}  // namespace
}  // namespace echelon::pool::detail
