// Programs whose tasks start processes: a child does not go on as if it were its rank, and none holds up the end.
#include <chrono>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/run_echelon.hpp"

namespace echelon::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class processes : public testing::Test {
 protected:
  ~processes() override { expect_nothing_left(); }

  static Outcome run(const std::string& what, int ranks = 3) {
    return run_program({ECHELON_PROCESSES, "-n", std::to_string(ranks), what}, alone());
  }
};

constexpr const char* came_back = "echelon: a process that the program has forked came back out of its task or body";

// 775: of 40 numbers from 0, all but the 5; the child's status in its place.
TEST_F(processes, forked_by_a_task_do_not_answer_for_it) {
  for (const char* what : {"returns", "throws", "returns_on_master"}) {
    const Outcome outcome = run(what);
    EXPECT_EQ(outcome.exit_code, 0) << what << ": " << outcome;
    EXPECT_EQ(outcome.out, "104 879\n") << what;
    EXPECT_THAT(lines(outcome.err), ElementsAre(HasSubstr(came_back))) << what;
  }
}

TEST_F(processes, forked_by_a_task_may_exit) {
  for (const int ranks : {1, 3}) {
    const Outcome outcome = run("exits", ranks);
    EXPECT_EQ(outcome.exit_code, 0) << outcome;
    EXPECT_EQ(outcome.out, "107 882\n");
    EXPECT_EQ(outcome.err, "");
  }
}

TEST_F(processes, forked_by_a_callback_or_the_body_do_not_go_on_as_the_master) {
  for (const auto& [what, out] : {std::pair{"callback", "4\n"}, {"body", "1 4\n"}}) {
    const Outcome outcome = run(what);
    EXPECT_EQ(outcome.exit_code, 0) << what << ": " << outcome;
    EXPECT_EQ(outcome.out, out) << what;
    EXPECT_THAT(lines(outcome.err), ElementsAre(HasSubstr(came_back))) << what;
  }
}

TEST_F(processes, left_running_by_a_task_are_ended_with_the_run) {
  for (const char* what : {"leaves", "leaves_silent"}) {
    const auto begin = std::chrono::steady_clock::now();
    const Outcome outcome = run(what);
    EXPECT_EQ(outcome.exit_code, 0) << what << ": " << outcome;
    EXPECT_EQ(outcome.out, "0\n");
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds{60}) << "it was waited for";
    EXPECT_EQ(descendants(getpid()).size(), 0U);
  }
  EXPECT_THAT(lines(run("leaves").err), ElementsAre("echelon: ended a process that the run had left behind: sleep"));
}

}  // namespace
}  // namespace echelon::test
