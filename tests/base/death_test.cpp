#include <array>
#include <csignal>
#include <cstdio>
#include <functional>
#include <string>

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <echelon/base/death.hpp>

namespace echelon::base {
namespace {

/// From Linux 6.15 on.
bool kernel_tells() {
  utsname system{};
  uname(&system);
  int major = 0;
  int minor = 0;
  return std::sscanf(system.release, "%d.%d", &major, &minor) == 2 && (major > 6 || (major == 6 && minor >= 15));
}

/// A process that is not a child of this one, but of one between them, as ranks are mpirun's. It dies when told to.
class Grandchild {
 public:
  explicit Grandchild(const std::function<void()>& death) {
    EXPECT_EQ(pipe(told_.data()), 0);
    EXPECT_EQ(pipe(pids_.data()), 0);
    parent_ = fork();
    if (parent_ == 0) {
      const pid_t child = fork();
      if (child == 0) {
        close(told_[1]);
        char byte = 0;
        (void)!read(told_[0], &byte, 1);
        death();
        _exit(0);
      }
      close(told_[1]);
      (void)!write(pids_[1], &child, sizeof child);
      waitpid(child, nullptr, 0);
      _exit(0);
    }
    EXPECT_EQ(read(pids_[0], &pid_, sizeof pid_), ssize_t{sizeof pid_});
  }
  ~Grandchild() {
    tell();
    waitpid(parent_, nullptr, 0);
    for (const int end : {told_[0], pids_[0], pids_[1]}) close(end);
  }
  Grandchild(const Grandchild&) = delete;
  Grandchild& operator=(const Grandchild&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  void tell() {
    if (told_[1] >= 0) close(told_[1]);
    told_[1] = -1;
  }

 private:
  std::array<int, 2> told_{};
  std::array<int, 2> pids_{};
  pid_t parent_ = -1;
  pid_t pid_ = -1;
};

Death death_of(const std::function<void()>& death) {
  Grandchild process{death};
  DeathWatch watch;
  watch.watch(3, process.pid());
  process.tell();
  return watch.ended(3);
}

TEST(death, signal_that_killed_a_process_is_known) {
  const Death expected = kernel_tells() ? Death{Death::How::signal, SIGKILL} : Death{};
  EXPECT_EQ(death_of([] { raise(SIGKILL); }), expected);
}

TEST(death, status_with_which_a_process_ended_is_known) {
  const Death expected = kernel_tells() ? Death{Death::How::status, 7} : Death{};
  EXPECT_EQ(death_of([] { _exit(7); }), expected);
}

TEST(death, rank_that_is_not_watched_died_without_a_word) {
  DeathWatch watch;
  EXPECT_EQ(watch.ended(1), Death{});
  EXPECT_EQ(watch.silent(1).how, Death::How::silent);
}

TEST(death, stopped_process_is_told_from_one_that_is_stuck) {
  Grandchild process{[] {}};
  DeathWatch watch;
  watch.watch(1, process.pid());
  EXPECT_EQ(watch.silent(1).how, Death::How::silent);
  kill(process.pid(), SIGSTOP);
  while (watch.silent(1).how != Death::How::stopped) poll(nullptr, 0, 1);  // ctest has a limit
  kill(process.pid(), SIGCONT);
}

TEST(death, survives_the_way_to_the_master) {
  for (const Death& death :
       {Death{}, Death{Death::How::signal, SIGSEGV}, Death{Death::How::status, 255}, Death{Death::How::silent, 0}}) {
    EXPECT_EQ(decode_death(encode(death)), death);
  }
}

TEST(death, is_told_in_words) {
  EXPECT_EQ(describe({Death::How::signal, SIGSEGV}), "was killed by signal 11 (Segmentation fault)");
  EXPECT_EQ(describe({Death::How::status, 3}), "ended with status 3");
  EXPECT_EQ(describe({}), "ended without a word");
}

}  // namespace
}  // namespace echelon::base
