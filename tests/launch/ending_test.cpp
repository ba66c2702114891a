// What becomes of a run, by processes that only say what ranks say.
#include "launch/ending.hpp"

#include <csignal>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <echelon/launch/rank_report.hpp>

#include "launch/rank_watch.hpp"
#include "support/run_program.hpp"

namespace echelon::launch {
namespace {

constexpr const char* token = "0123456789abcdef0123456789abcdef";

int exited(int code) { return code << 8; }  // as of waitpid()
constexpr int killed = SIGKILL;

/// Two ranks of a run that is over.
class ending : public testing::Test {
 protected:
  ending() {
    setenv(watch_variable, watch_.place().c_str(), 1);
    setenv(launched_variable, token, 1);
  }
  ~ending() override {
    unsetenv(watch_variable);
    unsetenv(launched_variable);
  }

  /// The rank does this after it has begun.
  void play(int rank, const std::function<void()>& act) {
    const pid_t process = fork();
    if (process == 0) {
      tell_begun(rank);
      act();
      _exit(0);
    }
    const auto& of_rank = watch_.ranks()[static_cast<std::size_t>(rank)];
    EXPECT_TRUE(test::wait_until([&] { return watch_.step(), of_rank.has_ended; }, std::chrono::seconds{60}));
    waitpid(process, nullptr, 0);
  }
  Ending of(int launcher_status, bool outlives_ranks, bool was_signaled = false) {
    return ending_of({.ranks = 2, .outlives_ranks = outlives_ranks, .program = {}}, watch_,
                     {.name = "mpirun",
                      .status = launcher_status,
                      .was_first = !watch_.first_killed(),
                      .was_signaled = was_signaled});
  }
  /// `why` is a regular expression.
  void expect(const Ending& found, int status, const std::string& why) {
    EXPECT_EQ(found.status, status);
    EXPECT_THAT(found.why, testing::MatchesRegex(why));
  }

  RankWatch watch_{2, token, true};
};

TEST_F(ending, outcome_is_the_status_whatever_the_launcher_does) {
  play(0, [] {
    tell_started();
    tell_outcome(3);
  });
  for (const bool outlives : {false, true}) {
    for (const int status : {exited(0), exited(1), exited(137), killed}) expect(of(status, outlives), 3, "");
  }
}

TEST_F(ending, rank_that_has_said_why_needs_no_other_reason) {
  play(1, [] {
    (void)tell_reason("the body threw");
    tell_outcome(4);
  });
  expect(of(exited(0), true), 4, "");
}

TEST_F(ending, broken_start_has_a_reason_though_the_master_says_none) {
  play(1, [] { raise(SIGKILL); });
  play(0, [] { tell_outcome(4); });
  expect(of(exited(0), true), 4, "ranks 1 and 0 ended before MPI had started on all ranks");
}

TEST_F(ending, killed_master_is_told_as_such) {
  play(0, [] {
    tell_started();
    raise(SIGUSR1);  // which no sanitizer takes
  });
  expect(of(exited(0), true), 4, "the master \\(rank 0\\) (was killed by signal 10 .*|ended without a word)");
}

TEST_F(ending, launcher_that_fails_before_any_rank_begins_is_named) {
  expect(of(exited(213), true), 4, "mpirun ended with status 213");
  expect(of(exited(213), false), 4, "mpirun ended with status 213");
  expect(of(exited(1), false), 4, "mpirun ended with status 1");
  expect(of(killed, false), 4, "mpirun was killed by signal 9");
}

TEST_F(ending, first_rank_to_be_killed_ends_a_run_that_does_not_outlive_it) {
  play(1, [] { raise(SIGKILL); });
  play(0, [] { raise(SIGTERM); });  // as its launcher ends it
  // As Open MPI 4.1 does it, and where it crashes over it.
  for (const int status : {exited(137), SIGSEGV}) {
    expect(of(status, false), 4, "rank 1 on [^ ]+ (was killed by signal 9 \\(Killed\\)|ended without a word)");
  }
}

TEST_F(ending, rank_that_the_launcher_has_ended_is_not_blamed) {
  play(0, [] { raise(SIGTERM); });
  expect(of(exited(139), false), 4, "a rank was killed by signal 11 \\(Segmentation fault\\)");
  expect(of(exited(3), false), 3, "");  // of another rank, which has said why
}

TEST_F(ending, wrong_answer_is_a_ranks_and_not_the_launchers) {
  play(1, [] { std::exit(1); });
  expect(of(exited(1), false), 1, "");
}

}  // namespace
}  // namespace echelon::launch
