#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <echelon/base/processes.hpp>

namespace echelon::base {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

/// A child that waits until it is killed; its process name is `name`. With `depth` it has a child of its own, and so
/// on; pids are theirs, the eldest first.
class Family {
 public:
  explicit Family(std::size_t depth = 0, const char* name = "family") {
    std::array<int, 2> pipe{};
    if (pipe2(pipe.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    const pid_t child = fork();
    if (child < 0) throw std::runtime_error("fork");
    if (child == 0) {
      (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
      (void)prctl(PR_SET_NAME, name);
      for (std::size_t i = 0; i < depth; ++i) {
        tell(pipe[1], getpid());
        if (const pid_t next = fork(); next != 0) {
          if (next < 0) _exit(1);
          wait_for_ever();
        }
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
      }
      tell(pipe[1], getpid());
      wait_for_ever();
    }
    close(pipe[1]);
    pids_.resize(depth + 1);
    for (pid_t& pid : pids_) {
      if (read(pipe[0], &pid, sizeof(pid)) != sizeof(pid)) throw std::runtime_error("a child has died");
    }
    close(pipe[0]);
  }
  ~Family() {
    for (const pid_t pid : pids_) kill(pid, SIGKILL);
    while (waitpid(pids_.front(), nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;

  [[nodiscard]] const std::vector<pid_t>& pids() const noexcept { return pids_; }
  [[nodiscard]] pid_t eldest() const noexcept { return pids_.front(); }

 private:
  static void tell(int pipe, pid_t pid) {
    if (write(pipe, &pid, sizeof(pid)) != sizeof(pid)) _exit(1);
  }
  [[noreturn]] static void wait_for_ever() {
    while (true) pause();
  }

  std::vector<pid_t> pids_;
};

TEST(processes, who_has_no_children_has_no_descendants) {
  EXPECT_THAT(children(), IsEmpty());
  EXPECT_THAT(descendants(), IsEmpty());
}

TEST(processes, children_are_those_of_this_process_alone) {
  const Family one{2};
  const Family other;
  EXPECT_THAT(children(), UnorderedElementsAre(one.eldest(), other.eldest()));
}

TEST(processes, descendants_are_of_all_generations_and_parents_come_first) {
  const Family family{3};
  EXPECT_THAT(descendants(), testing::ElementsAreArray(family.pids()));
}

TEST(processes, who_is_spared_is_left_out_with_all_below) {
  const Family one{2};
  const Family other{2};
  EXPECT_THAT(descendants({one.eldest()}), testing::ElementsAreArray(other.pids()));
  EXPECT_THAT(descendants({one.pids()[1], other.eldest()}), ElementsAre(one.eldest()));
  EXPECT_THAT(descendants({one.eldest(), other.eldest()}), IsEmpty());
  EXPECT_EQ(descendants({getpid(), 1}).size(), 6U) << "none of these is a descendant";
}

TEST(processes, who_has_ended_is_none_even_where_nobody_has_waited_for_it) {
  const Family lives;
  const pid_t child = fork();
  if (child == 0) _exit(0);
  siginfo_t info{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  EXPECT_THAT(children(), ElementsAre(lives.eldest()));
  EXPECT_THAT(descendants(), Not(Contains(child)));
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
}

/// A child that has children which live for a millisecond, many at a time, and are gone without a trace.
class Spawner {
 public:
  Spawner() {
    if (child_ != 0) return;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGCHLD, SIG_IGN);
    for (;;) {
      if (fork() == 0) {
        poll(nullptr, 0, 1);
        _exit(0);
      }
    }
  }
  ~Spawner() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;

 private:
  const pid_t child_ = fork();
};

// Such as one that ends between the opening of its file and the reading of it.
TEST(processes, who_comes_and_goes_meanwhile_disturbs_nothing) {
  const Family family;
  const Spawner spawner;
  for (int i = 0; i < 300; ++i) EXPECT_THAT(descendants(), Contains(family.eldest()));
}

// The kernel writes the name as it is, in the middle of the line.
TEST(processes, any_name_of_a_process_is_read) {
  for (const char* name :
       {"", "two words", ") Z 1 (", "a) R 1", "new\nline", "\n", "a\n) R 1 (", "\xff\x01", "1 (2) S 3"}) {
    const Family family{1, name};
    EXPECT_THAT(descendants(), testing::ElementsAreArray(family.pids())) << '"' << name << '"';
    EXPECT_THAT(children(), ElementsAre(family.eldest())) << '"' << name << '"';
  }
}

}  // namespace
}  // namespace echelon::base
