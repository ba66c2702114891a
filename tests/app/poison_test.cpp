// Tasks that crash fail, each by itself, with as few workers as a workstation has.
#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/run_echelon.hpp"

namespace echelon::test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Matcher;
using testing::SizeIs;
using testing::StartsWith;

class poison : public testing::Test {
 protected:
  ~poison() override { expect_nothing_left(); }

  /// The lines of the rounds, which the program has run on so many ranks.
  static std::vector<std::string> run(int ranks, const Arguments& rounds, Outcome* whole = nullptr) {
    const Arguments command = Arguments{ECHELON_POISON, "-n", std::to_string(ranks)} + rounds;
    const Outcome outcome = run_program(command, alone({.limit = 120s}));
    EXPECT_EQ(outcome.exit_code, 0) << outcome;
    if (whole != nullptr) *whole = outcome;
    return lines(outcome.out);
  }
  static Matcher<std::string> good(const std::string& round, int count) {
    return round + ": " + std::to_string(count) + " good";
  }
  static Matcher<std::string> failed(int task) {
    return StartsWith("  task " + std::to_string(task) + " failed on rank ");
  }
};

class few_workers : public poison, public testing::WithParamInterface<int> {};

INSTANTIATE_TEST_SUITE_P(of_ranks, few_workers, testing::Values(2, 3, 4));

TEST_P(few_workers, a_task_that_crashes_fails_alone_wherever_it_stands) {
  // Each round's first crash takes a worker; those after the last run on the master.
  for (const std::string chunk : {"", ",chunk=1", ",chunk=40"}) {
    const std::string first = "outcomes,segv,0" + chunk;
    const std::string middle = "outcomes,abort,20" + chunk;
    const std::string last = "imap,stack,39,window=8" + chunk;
    EXPECT_THAT(run(GetParam(), {first, middle, last}),
                ElementsAre(good(first, 39), failed(0), good(middle, 39), failed(20), good(last, 39), failed(39)));
  }
}

TEST_P(few_workers, several_fail_each_by_itself) {
  const std::string many = "outcomes,kill,3+4+20+39,retries=2";
  EXPECT_THAT(run(GetParam(), {many}), ElementsAre(good(many, 36), failed(3), failed(4), failed(20), failed(39)));
  const std::string streamed = "imap,memory,0+1+30+31,window=4,chunk=2";
  EXPECT_THAT(run(GetParam(), {streamed}),
              ElementsAre(good(streamed, 36), failed(0), failed(1), failed(30), failed(31)));
  const std::string applied = "apply,segv,5+6";
  EXPECT_THAT(run(GetParam(), {applied}), ElementsAre(good(applied, 38), failed(0), failed(0)));
}

TEST_P(few_workers, takes_one_worker_and_the_error_says_how_the_task_died) {
  Outcome outcome;
  const auto said = run(GetParam(), {"outcomes,segv,5"}, &outcome);
  ASSERT_THAT(said, SizeIs(2));
  EXPECT_THAT(said[1], EndsWith(" after 2 attempts: worker lost: 1 worker died over it, which was killed by signal 11 "
                                "(Segmentation fault); then a process of its own was killed by signal 11 (Segmentation "
                                "fault)"));
  const auto errors = lines(outcome.err);
  EXPECT_EQ(std::ranges::count_if(errors, [](const std::string& line) { return line.starts_with("echelon: rank "); }),
            1);
  const std::string taken_over =
      "no worker is left, so the master runs the remaining tasks itself, each in a process of its own";
  if (GetParam() == 2) {
    EXPECT_THAT(errors, testing::Contains(HasSubstr(taken_over)));
  } else {
    EXPECT_THAT(outcome.err, testing::Not(HasSubstr(taken_over)));
  }
}

TEST_P(few_workers, a_task_that_ends_its_process_fails_alone) {
  // What ends by itself is no proof in a process of its own: where it can, it runs on a rank once more.
  const std::string round = "outcomes,exit,7";
  const auto said = run(GetParam(), {round});
  EXPECT_THAT(said, ElementsAre(good(round, 39), failed(7)));
  const char* const why =
      GetParam() == 2
          ? "1 worker died over it, which ended with status 3; a process of its own ended with status 3 and without a "
            "result; no worker is left to run it"
          : "2 workers died over it, of which the last ended with status 3; a process of its own ended with status 3 "
            "and without a result";
  EXPECT_THAT(said.back(), EndsWith(why));
}

TEST_P(few_workers, with_a_master_that_works) {
  // Not a task that the master would run before a worker does: the run would go with it.
  const std::string round = "outcomes,segv,0,master,chunk=1";
  EXPECT_THAT(run(GetParam(), {round}), ElementsAre(good(round, 39), failed(0)));
}

TEST_P(few_workers, isolated_tasks_kill_no_worker) {
  const std::string crashing = "outcomes,segv,5+6,isolate";
  const std::string ending = "imap,exit,9,isolate,chunk=7";
  Outcome outcome;
  const auto said = run(GetParam(), {crashing, ending}, &outcome);
  EXPECT_THAT(said, ElementsAre(good(crashing, 38), failed(5), failed(6), good(ending, 39), failed(9)));
  EXPECT_THAT(said[1],
              EndsWith("after 2 attempts: crashed: 2 processes of its own died, of which the last was killed by "
                       "signal 11 (Segmentation fault)"));
  EXPECT_EQ(outcome.err, "");
}

TEST_F(poison, isolated_tasks_on_a_single_rank) {
  const std::string round = "outcomes,segv,5,isolate";
  const Outcome outcome = run_program({ECHELON_POISON, round}, alone());
  EXPECT_THAT(lines(outcome.out), ElementsAre(good(round, 39), failed(5))) << outcome;
}

TEST_F(poison, a_task_that_needs_a_rank_gets_one) {
  // Rank 1 dies of something else; the tasks call MPI, which ends any process that is no rank.
  const std::string round = "outcomes,mpi,5+6";
  EXPECT_THAT(run(3, {round}), ElementsAre(good(round, 40)));
}

TEST_F(poison, beside_threads_no_process_of_its_own_is_to_be_had) {
  const std::string round = "outcomes,segv,5";
  EXPECT_THAT(
      run(4, {"--thread", round}),
      ElementsAre(good(round, 39), EndsWith("worker lost: 2 workers died over it, of which the last was killed by "
                                            "signal 11 (Segmentation fault)")));
  const Outcome lost = run_program({ECHELON_POISON, "-n", "2", "--thread", round}, alone());
  EXPECT_EQ(lost.exit_code, 4) << lost;
  EXPECT_THAT(lost.err, HasSubstr("no worker is left\nechelon: all 1 workers are lost"));
}

}  // namespace
}  // namespace echelon::test
