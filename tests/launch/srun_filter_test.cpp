#include <gtest/gtest.h>

#include <echelon/launch/srun_filter.hpp>

namespace echelon::launch {
namespace {

/// What is passed on of this, in one piece and byte by byte.
std::string passed(SrunFilter& filter, std::string_view text) {
  SrunFilter whole;
  const std::string at_once = whole.feed(text) + whole.finish();
  std::string out;
  for (const char c : text) out += filter.feed({&c, 1});
  out += filter.finish();
  EXPECT_EQ(out, at_once);
  return out;
}

// As srun 22.05 said it, of a rank that was killed with -9 under --kill-on-bad-exit.
TEST(srun_filter, killed_rank_is_kept_back_and_known) {
  SrunFilter filter;
  EXPECT_EQ(passed(filter,
                   "srun: cluster configuration lacks support for cpu binding\n"
                   "srun: error: n2: task 3: Killed\n"
                   "srun: launch/slurm: _step_signal: Terminating StepId=8.0\n"
                   "slurmstepd-n1: error: *** STEP 8.0 ON n1 CANCELLED AT 2026-11-21T19:43:21 ***\n"
                   "srun: error: n2: task 2: Terminated\n"
                   "srun: error: n1: tasks 0-1: Terminated\n"
                   "srun: Force Terminated StepId=8.0\n"
                   "srun: forcing job termination\n"
                   "srun: error: Timed out waiting for job step to complete\n"),
            "");
  ASSERT_TRUE(filter.killed().has_value());
  EXPECT_EQ(filter.killed()->rank, 3);
  EXPECT_EQ(filter.killed()->host, "n2");
  EXPECT_EQ(filter.killed()->signal, 9);
  EXPECT_EQ(filter.killed()->signal_name, "Killed");
}

TEST(srun_filter, crash_with_a_core_is_one_too) {
  SrunFilter filter;
  EXPECT_EQ(passed(filter, "srun: error: n1: task 0: Segmentation fault (core dumped)\n"), "");
  ASSERT_TRUE(filter.killed().has_value());
  EXPECT_EQ(filter.killed()->signal, 11);
}

TEST(srun_filter, status_of_a_rank_is_kept_back_and_nobody_was_killed) {
  SrunFilter filter;
  EXPECT_EQ(
      passed(filter, "echelon: --points: 'x' is not a number\nsrun: error: n2: task 3: Exited with exit code 2\n"),
      "echelon: --points: 'x' is not a number\n");
  EXPECT_FALSE(filter.killed().has_value());
}

TEST(srun_filter, what_the_user_must_know_is_passed_on) {
  SrunFilter filter;
  const std::string text =
      "srun: error: Unable to create step for job 5: More processors requested than permitted\n"
      "slurmstepd: error: *** STEP 8.0 ON n1 CANCELLED AT 2026-11-21T19:43:21 DUE TO TIME LIMIT ***\n"
      "a rank says: srun: error: n2: task 3: Killed\n"
      "srun: error: n2: task 3: something new\n";
  EXPECT_EQ(passed(filter, text), text);
}

TEST(srun_filter, progress_line_does_not_wait_for_its_end) {
  SrunFilter filter;
  EXPECT_EQ(filter.feed("\r 12 %"), "\r 12 %");
  EXPECT_EQ(filter.feed("srun: \n"), "srun: \n") << "it is of the same line";
  EXPECT_EQ(filter.feed("sr"), "") << "it may become one of srun's";
  EXPECT_EQ(filter.feed("ange"), "srange");
}

}  // namespace
}  // namespace echelon::launch
