// Programs that call Echelon wrongly: they end at once, with a line that names the call, rather than hang.
#include <string>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/run_echelon.hpp"

namespace echelon::test {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;

Outcome run(const std::string& what, int ranks = 3, RunOptions options = {}) {
  Outcome outcome = run_program({ECHELON_MISUSE, "-n", std::to_string(ranks), what}, alone(std::move(options)));
  expect_nothing_left();
  return outcome;
}

template <typename Matcher>
void expect_told(const Outcome& outcome, Matcher matcher) {
  EXPECT_EQ(outcome.exit_code, 4) << outcome;
  EXPECT_THAT(lines(outcome.err), testing::ElementsAre(AllOf(StartsWith("echelon: "), matcher))) << outcome;
}

TEST(misuse, what_all_ranks_call_together_is_refused_in_the_body_of_run) {
  for (const auto& [what, call] : {std::pair{"run_queue", "Queue(session, ...): "},
                                   {"run_pipe", "Pipe(session, ...): "},
                                   {"run_lock", "Lock(session): "},
                                   {"run_value", "Value(session): "},
                                   {"run_array", "Array(session, ...): "},
                                   {"run_barrier", "Session::barrier(): "}}) {
    expect_told(run(what, 2), AllOf(HasSubstr(call), HasSubstr("use echelon::parallel")));
  }
  expect_told(run("run_value", 1), HasSubstr("use echelon::parallel"));  // and not with more ranks only
}

TEST(misuse, a_pool_that_others_do_not_make_names_what_they_do) {
  for (const char* what : {"pool_of_master", "second_pool_of_master"}) {
    expect_told(run(what), AllOf(HasSubstr("rank 0 on "), HasSubstr(" calls Pool(session), but rank 1 on "),
                                 HasSubstr(" Session::barrier(): all ranks make such calls, in the same order")));
  }
}

TEST(misuse, a_call_that_a_rank_never_makes_names_both) {
  for (const auto& [what, call, rank] : {std::tuple{"pool_of_some", "Pool(session)", 2},
                                         {"second_pool_of_workers", "Pool(session)", 0},
                                         {"worker_leaves", "Session::barrier()", 2},
                                         {"master_leaves", "Queue(session, ...)", 0},
                                         {"goes_on", "Session::barrier()", 2}}) {
    expect_told(run(what), HasSubstr(call + (" waits for rank " + std::to_string(rank)) + " on "));
  }
}

TEST(misuse, between_nodes_too) {
  const RunOptions apart{.environment = {{"ECHELON_RANKS_A_NODE", "1"}}};
  expect_told(run("master_leaves", 3, apart), HasSubstr("Queue(session, ...) waits for rank 0 on "));
  EXPECT_EQ(run("leaves_early", 3, apart).exit_code, 0);
}

TEST(misuse, calls_in_another_order_name_both) {
  expect_told(run("other_order"),
              AllOf(HasSubstr("rank 1 on "), AnyOf(HasSubstr(" calls Lock(session), but rank "), HasSubstr(", but "))));
}

TEST(misuse, workers_that_call_a_pool_are_told_in_one_line) {
  expect_told(run("workers_call"), HasSubstr("only the master's pool can be called; workers call serve()"));
}

TEST(misuse, a_task_does_not_wait_for_all_ranks) {
  expect_told(run("barrier_in_task"),
              HasSubstr("Session::barrier(): all ranks call this together, and this rank runs"));
}

TEST(misuse, workers_serve_where_they_forget_to) {
  for (const auto& [what, out] :
       {std::pair{"without_serve", "10\n16\n"}, {"serve_twice", "9\n"}, {"overlapping", "10\n"}}) {
    const Outcome outcome = run(what);
    EXPECT_EQ(outcome.exit_code, 0) << outcome;
    EXPECT_EQ(outcome.out, out);
    EXPECT_EQ(outcome.err, "");
  }
}

TEST(misuse, is_not_seen_where_there_is_none) {
  const Outcome outcome = run("leaves_early");
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.err, "");
}

}  // namespace
}  // namespace echelon::test
