// How programs of the library end, with and without -n: whatever they do, the status is the master's own, and what
// stands behind run() is done once.
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;

const Arguments alone_here{};
const Arguments three_ranks{"-n", "3"};

class ends : public testing::Test {
 protected:
  ~ends() override { expect_nothing_left(); }

  Outcome run(const Arguments& ranks, const Arguments& arguments) {
    clear();
    return run_program(Arguments{ECHELON_ENDS} + ranks + arguments, options());
  }
  RunOptions options() const { return alone({.folder = folder_.path(), .limit = 120s}); }
  void clear() const {
    for (const char* file : {"results", "master", "worker", "ranks"}) std::filesystem::remove(folder_.path() / file);
  }
  std::string text_of(const char* file) const {
    std::ostringstream text;
    text << std::ifstream{folder_.path() / file}.rdbuf();
    return text.str();
  }
  std::vector<std::string> lines_of(const char* file) const { return lines(text_of(file)); }

  /// With and without -n.
  void expect_status(const Arguments& arguments, int status, const std::string& results) {
    for (const Arguments& ranks : {alone_here, three_ranks}) {
      const Outcome outcome = run(ranks, arguments);
      EXPECT_EQ(outcome.exit_code, status) << testing::PrintToString(ranks + arguments) << outcome;
      EXPECT_EQ(outcome.err, "") << testing::PrintToString(ranks + arguments);
      EXPECT_EQ(text_of("results"), results) << testing::PrintToString(ranks + arguments);
    }
  }

  TemporaryFolder folder_;
};

constexpr const char* sum_of_squares = "328350\n";  // of 0 to 99

TEST_F(ends, what_stands_behind_run_is_done_once_and_its_status_counts) {
  expect_status({"body-returns", "5"}, 5, sum_of_squares);
  EXPECT_EQ(text_of("master").find("main goes on"), text_of("master").rfind("main goes on"));
  expect_status({"return-after", "5"}, 5, sum_of_squares);
  expect_status({"exit-after", "6"}, 6, sum_of_squares);
  expect_status({"run-twice", "0"}, 0, sum_of_squares);
}

TEST_F(ends, static_objects_are_destroyed_on_each_rank_and_those_of_the_master_last) {
  const Outcome outcome = run(three_ranks, {"return-after", "0"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(lines_of("master"),
              testing::ElementsAre("main goes on", "destroyed unused", "destroyed unused", "destroyed used"));
  EXPECT_THAT(lines_of("worker"),
              testing::UnorderedElementsAre("destroyed used", "destroyed used", "destroyed unused"));
  EXPECT_EQ(outcome.out, "[main][main][main][main]");
}

TEST_F(ends, pools_and_results_serve_behind_run_and_as_static_objects) {
  expect_status({"static-pool", "0"}, 0, "14\n");
}

TEST_F(ends, exit_anywhere_is_the_status) {
  expect_status({"exit-in-body", "3"}, 3, "");
  expect_status({"exit-in-body", "0"}, 0, "");
  expect_status({"exit-with-tasks", "3"}, 3, "");
  expect_status({"exit-in-input", "3"}, 3, "");
  expect_status({"exit-in-thread", "3"}, 3, "");
  expect_status({"child-exits", "0"}, 0, "5\n");
}

TEST_F(ends, exit_in_a_task_is_the_status_and_said_in_a_line) {
  for (const char* status : {"0", "3"}) {
    const Outcome here = run(alone_here, {"exit-in-task", status});
    EXPECT_EQ(here.exit_code, std::stoi(status)) << here;
    EXPECT_EQ(here.err, "");
    const Outcome outcome = run(three_ranks, {"exit-in-task", status});
    EXPECT_EQ(outcome.exit_code, std::stoi(status)) << outcome;
    EXPECT_THAT(outcome.err, MatchesRegex("echelon: a task called exit\\(" + std::string{status} +
                                          "\\) on rank [12] of [^ ]+; the run ends with that status\n"));
    EXPECT_THAT(outcome.out, HasSubstr("before exit"));
    EXPECT_EQ(text_of("results"), "");
  }
}

TEST_F(ends, a_master_that_dies_behind_run_is_broken) {
  for (const char* how : {"crash-after", "leave-after", "die-late"}) {
    const Outcome outcome = run(three_ranks, {how, "0"});
    EXPECT_EQ(outcome.exit_code, 4) << how << outcome;
    EXPECT_THAT(outcome.err, HasSubstr("echelon: the master (rank 0) ")) << how;
    EXPECT_EQ(text_of("results"), sum_of_squares) << how;
  }
}

TEST_F(ends, a_worker_that_dies_while_it_leaves_is_told) {
  const Outcome outcome = run(three_ranks, {"worker-dies-late", "0"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.err,
              testing::ContainsRegex("echelon: rank [12] on [^ ]+ was killed by signal 11 [^;]*; it held no tasks\n"));
  EXPECT_EQ(text_of("results"), sum_of_squares);
}

TEST_F(ends, under_a_launcher_of_ones_own) {
  const Arguments mpirun{
      ECHELON_MPIEXEC, "-n",    "3",   "--host",     "localhost:3", "--bind-to",           "none", "--mca",     "pml",
      "ob1",           "--mca", "btl", "self,vader", "--mca",       "mpi_yield_when_idle", "1",    ECHELON_ENDS};
  Outcome outcome = run_program(mpirun + Arguments{"run-twice", "0"}, as_root_too(options()));
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(text_of("results"), sum_of_squares);
  outcome = run_program(mpirun + Arguments{"return-after", "5"}, as_root_too(options()));
  EXPECT_EQ(outcome.exit_code, 5) << outcome;
  outcome = run_program(mpirun + Arguments{"exit-in-body", "3"}, as_root_too(options()));
  EXPECT_EQ(outcome.exit_code, 3) << outcome;
  outcome = run_program(mpirun + Arguments{"parallel", "9"}, as_root_too(options()));
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.err, "");
}

TEST_F(ends, behind_parallel_each_rank_goes_on_and_the_first_bad_status_counts) {
  Outcome outcome = run(three_ranks, {"parallel", "9"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(lines_of("ranks"),
              testing::UnorderedElementsAre("destroyed by rank 0", "destroyed by rank 1", "destroyed by rank 2"));
  for (const char* rank : {"0", "1", "2"}) {
    outcome = run(three_ranks, {"parallel", rank});
    EXPECT_EQ(outcome.exit_code, 7) << rank << outcome;
    EXPECT_EQ(outcome.err, "") << rank;
  }
}

TEST_F(ends, exit_in_the_body_of_parallel_is_the_status) {
  Outcome outcome = run(three_ranks, {"parallel-exit", "-1"});  // on all of them
  EXPECT_EQ(outcome.exit_code, 2) << outcome;
  outcome = run(three_ranks, {"parallel-exit", "0"});
  EXPECT_EQ(outcome.exit_code, 6) << outcome;
  EXPECT_EQ(outcome.err, "");
  outcome = run(three_ranks, {"parallel-exit", "1"});
  EXPECT_EQ(outcome.exit_code, 6) << outcome;
  EXPECT_THAT(outcome.err, MatchesRegex("echelon: rank 1 on [^ ]+: called exit\\(6\\)\n"));
}

}  // namespace
}  // namespace echelon::test
