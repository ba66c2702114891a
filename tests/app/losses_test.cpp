// Ranks that die under a real mpirun: nothing is lost but time.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

using namespace std::chrono_literals;

constexpr int workers = 4;
constexpr int many = 12;  // random moments

class losses : public testing::Test {
 protected:
  ~losses() override { expect_nothing_left(); }

  Arguments program(const Arguments& arguments) const {
    return Arguments{ECHELON_LOSSES, "-n", std::to_string(workers + 1)} + arguments;
  }
  RunOptions options(const std::string& heartbeat_s = "10") const {
    return alone({.environment = {{"ECHELON_HEARTBEAT_S", heartbeat_s}}, .folder = folder_.path(), .limit = 180s});
  }
  bool exists(const char* file) const { return std::filesystem::exists(folder_.path() / file); }

  std::map<int, pid_t> ranks_at_work(const RunningProgram& running) const {
    EXPECT_TRUE(wait_until([&] { return exists("begun"); })) << "no task has begun";
    auto ranks = ranks_of(running);
    EXPECT_EQ(ranks.size(), workers + 1U);
    return ranks;
  }
  void kill_workers(const RunningProgram& running) const {
    for (const auto& [rank, pid] : ranks_at_work(running)) {
      if (rank != 0) {
        EXPECT_EQ(kill(pid, SIGKILL), 0);
      }
    }
  }
  /// From the last task to the end of all.
  void expect_quick_end(RunningProgram& running, Outcome& outcome) const {
    // What a lost rank held is done task by task: 30 s where a load of 13 keeps each waiting.
    EXPECT_TRUE(wait_until([&] { return exists("done"); }, 120s)) << "the tasks have not ended";
    const auto since = std::chrono::steady_clock::now();
    outcome = running.wait();
    EXPECT_LT(std::chrono::steady_clock::now() - since, 30s);
  }

  TemporaryFolder folder_;
  std::mt19937 random_{20261121};
};

/// What the program says on standard error, a line a loss and nothing of mpirun's.
void expect_only_losses(const Outcome& outcome, std::size_t count) {
  const auto said = lines(outcome.err);
  EXPECT_EQ(said.size(), count) << outcome;
  for (const std::string& line : said) {
    EXPECT_THAT(line, testing::MatchesRegex("echelon: rank [0-9]+ on [^ ]+ (ended without a word|was killed by "
                                            "signal 9 \\(Killed\\)|was (silent|stopped) for too long); .*"));
  }
}

TEST_F(losses, a_killed_worker_costs_nothing_but_time) {
  for (int round = 0; round < many; ++round) {
    std::filesystem::remove(folder_.path() / "begun");
    std::filesystem::remove(folder_.path() / "done");
    RunningProgram running{program({"10000", "100", "-1"}), options()};
    const auto ranks = ranks_at_work(running);
    const int victim = std::uniform_int_distribution<>{1, workers}(random_);
    const int delay_ms = std::uniform_int_distribution<>{0, 300}(random_);
    poll(nullptr, 0, delay_ms);  // a random moment, not a condition
    const bool in_time = !exists("done");
    EXPECT_EQ(kill(ranks.at(victim), SIGKILL), 0);
    Outcome outcome;
    expect_quick_end(running, outcome);
    EXPECT_EQ(outcome.exit_code, 0) << "round " << round << ": " << outcome;
    if (in_time) {
      EXPECT_THAT(outcome.out, testing::HasSubstr("lost: rank " + std::to_string(victim) + "\n"));
      expect_only_losses(outcome, 1);
    }
    if (HasFailure()) break;
  }
}

TEST_F(losses, two_workers_killed_at_once) {
  RunningProgram running{program({"10000", "100", "-1"}), options()};
  const auto ranks = ranks_at_work(running);
  EXPECT_EQ(kill(ranks.at(1), SIGKILL), 0);
  EXPECT_EQ(kill(ranks.at(3), SIGKILL), 0);
  Outcome outcome;
  expect_quick_end(running, outcome);
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.out, testing::AllOf(testing::HasSubstr("lost: rank 1\n"), testing::HasSubstr("lost: rank 3\n")));
  expect_only_losses(outcome, 2);
}

TEST_F(losses, a_stopped_worker_is_given_up_and_what_it_sends_later_ignored) {
  RunningProgram running{program({"8000", "1000", "-1"}), options("1")};
  const auto ranks = ranks_at_work(running);
  EXPECT_EQ(kill(ranks.at(2), SIGSTOP), 0);
  poll(nullptr, 0, 1500);  // longer than the heartbeat
  EXPECT_FALSE(exists("done"));
  EXPECT_EQ(kill(ranks.at(2), SIGCONT), 0);
  Outcome outcome;
  expect_quick_end(running, outcome);
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.out, testing::HasSubstr("lost: rank 2\n"));
  expect_only_losses(outcome, 1);
}

TEST_F(losses, a_worker_that_stays_stopped_does_not_hold_up_the_end) {
  RunningProgram running{program({"4000", "1000", "-1"}), options("1")};
  const auto ranks = ranks_at_work(running);
  EXPECT_EQ(kill(ranks.at(4), SIGSTOP), 0);
  Outcome outcome;
  expect_quick_end(running, outcome);
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.out, testing::HasSubstr("lost: rank 4\n"));
}

TEST_F(losses, a_task_that_kills_its_worker_fails_in_a_process_of_its_own_and_the_rest_is_done) {
  RunningProgram running{program({"2000", "100", "700"}), options()};
  Outcome outcome;
  expect_quick_end(running, outcome);
  EXPECT_EQ(outcome.exit_code, 3) << outcome;
  EXPECT_THAT(outcome.out, testing::HasSubstr("task 700 failed on rank "));
  EXPECT_THAT(outcome.out,
              testing::HasSubstr("after 2 attempts: worker lost: 1 worker died over it, which was killed by "
                                 "signal 9 (Killed); then a process of its own was killed by signal 9 "
                                 "(Killed)\n"));
  const auto said = lines(outcome.out);
  EXPECT_EQ(std::ranges::count_if(said, [](const std::string& line) { return line.starts_with("lost: "); }), 1);
  expect_only_losses(outcome, 1);
}

TEST_F(losses, a_task_that_kills_each_worker_fails_at_the_crash_limit_where_it_has_no_process_of_its_own) {
  RunningProgram running{program({"2000", "100", "700", "thread"}), options()};
  Outcome outcome;
  expect_quick_end(running, outcome);
  EXPECT_EQ(outcome.exit_code, 3) << outcome;
  EXPECT_THAT(outcome.out, testing::HasSubstr("task 700 failed on rank "));
  EXPECT_THAT(outcome.out,
              testing::HasSubstr("after 2 attempts: worker lost: 2 workers died over it, of which the last "));
  const auto said = lines(outcome.out);
  EXPECT_EQ(std::ranges::count_if(said, [](const std::string& line) { return line.starts_with("lost: "); }), 2);
  expect_only_losses(outcome, 2);
}

TEST_F(losses, of_all_workers_leave_the_rest_to_the_master) {
  RunningProgram running{program({"2000", "1000", "1700"}), options()};
  kill_workers(running);
  Outcome outcome;
  expect_quick_end(running, outcome);
  EXPECT_EQ(outcome.exit_code, 3) << outcome;
  EXPECT_THAT(outcome.out, testing::HasSubstr("task 1700 failed on rank "));
  EXPECT_THAT(outcome.err, testing::HasSubstr("; no worker is left, so the master runs the remaining tasks itself"));
  expect_only_losses(outcome, workers);
}

TEST_F(losses, of_all_workers_end_the_run_as_broken_where_the_master_cannot_go_on) {
  RunningProgram running{program({"100000", "1000", "-1", "thread"}), options()};
  kill_workers(running);
  const Outcome outcome = running.wait();
  EXPECT_EQ(outcome.exit_code, 4) << outcome;
  EXPECT_THAT(outcome.err, testing::HasSubstr("echelon: all 4 workers are lost"));
}

TEST_F(losses, of_the_master_ends_every_rank) {
  RunningProgram running{program({"100000", "1000", "-1"}), options()};
  const auto ranks = ranks_at_work(running);
  EXPECT_EQ(kill(ranks.at(0), SIGKILL), 0);
  EXPECT_TRUE(wait_until(
      [&] {
        return std::ranges::none_of(ranks, [](const auto& rank) {
          const auto process = look_at(rank.second);
          return process && process->state != 'Z';
        });
      },
      10s))
      << "a rank goes on without its master";
  const Outcome outcome = running.wait();
  EXPECT_EQ(outcome.exit_code, 4) << outcome;
  EXPECT_THAT(outcome.err, testing::HasSubstr("echelon: "));
}

TEST_F(losses, of_a_stopped_master_ends_every_worker) {
  RunningProgram running{program({"100000", "1000", "-1"}), options("1")};
  const auto ranks = ranks_at_work(running);
  EXPECT_EQ(kill(ranks.at(0), SIGSTOP), 0);
  EXPECT_TRUE(wait_until(
      [&] {
        return std::ranges::none_of(ranks, [](const auto& rank) {
          const auto process = look_at(rank.second);
          return rank.first != 0 && process && process->state != 'Z';
        });
      },
      10s))
      << "a worker goes on without its master";
  EXPECT_EQ(kill(ranks.at(0), SIGKILL), 0);
  EXPECT_EQ(running.wait().exit_code, 4);
}

TEST_F(losses, without_recovery_the_message_says_how_to_survive) {
  RunOptions own = options();
  if (geteuid() == 0) {
    own.environment["OMPI_ALLOW_RUN_AS_ROOT"] = "1";
    own.environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1";
  }
  RunningProgram running{{ECHELON_MPIEXEC, "-n", "5", "--host", "localhost:5", "--bind-to", "none", "--mca", "pml",
                          "ob1", "--mca", "btl", "self,vader", ECHELON_LOSSES, "100000", "1000", "-1"},
                         own};
  const auto ranks = ranks_at_work(running);
  EXPECT_EQ(kill(ranks.at(2), SIGKILL), 0);
  const Outcome outcome = running.wait();
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_THAT(outcome.err, testing::HasSubstr("Start it by -n RANKS, or mpirun --enable-recovery")) << outcome;
}

TEST_F(losses, of_none_end_without_a_word) {
  const Outcome outcome = run_program(program({"1000", "10", "-1"}), options());
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.err, "");
}

}  // namespace
}  // namespace echelon::test
