// Each example runs alone and on the number of ranks that its first lines name, and prints what they promise.
#include <cstdio>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/measure/machine.hpp>

#include "support/run_echelon.hpp"

namespace echelon::test {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::Ge;
using testing::IsEmpty;
using testing::Le;
using testing::MatchesRegex;
using testing::Not;
using testing::UnorderedElementsAreArray;

const std::vector<std::string> squares{"0", "1", "4", "9", "16", "25", "36", "49", "64", "81"};

std::string example(const std::string& name) { return ECHELON_EXAMPLES "/" + name; }

/// What it prints, after it has ended well.
std::vector<std::string> output(const Arguments& command, RunOptions options = {}) {
  const Outcome outcome = run_program(command, alone(std::move(options)));
  EXPECT_EQ(outcome.exit_code, 0) << command.front() << "\n" << outcome;
  EXPECT_EQ(outcome.err, "") << command.front();
  return lines(outcome.out);
}

std::vector<std::string> run_example(const std::string& name, int ranks, const Arguments& arguments = {}) {
  SCOPED_TRACE(name + " on " + std::to_string(ranks));
  const Arguments start = ranks == 1 ? Arguments{} : Arguments{"-n", std::to_string(ranks)};
  return output(Arguments{example(name)} + start + arguments);
}

/// The numbers in the one line that `pattern`, of scanf, describes.
struct Numbers {
  double first = -1;
  double second = -1;
};
Numbers numbers(const std::vector<std::string>& lines, const char* pattern) {
  for (const std::string& line : lines) {
    Numbers found;
    if (std::sscanf(line.c_str(), pattern, &found.first, &found.second) > 0) return found;
  }
  ADD_FAILURE() << "no line is like " << pattern << ": " << testing::PrintToString(lines);
  return {};
}

TEST(row01, results_are_in_the_order_of_submission) {
  for (const int ranks : {1, 5}) {
    EXPECT_THAT(run_example("row01_apply_async", ranks),
                ElementsAre("0", "111", "222", "333", "444", "555", "666", "777", "888", "999"));
  }
}

TEST(row02, alone_the_body_runs_when_it_is_joined) {
  EXPECT_THAT(run_example("row02_process", 1, {"0.1"}),
              ElementsAre(MatchesRegex("main line: rank 0 on .+, parent process [0-9]+, process [0-9]+"),
                          "main line: goes on, greet has ended: no",
                          MatchesRegex("greet: rank 0 on .+, parent process [0-9]+, process [0-9]+"), "hello bob",
                          "main line: joined"));
}

TEST(row02, the_body_is_another_process_and_the_main_line_goes_on) {
  const std::vector<std::string> out = run_example("row02_process", 2, {"0.5"});
  EXPECT_THAT(out, UnorderedElementsAreArray<testing::Matcher<std::string>>(
                       {MatchesRegex("main line: rank 0 on .+, parent process [0-9]+, process [0-9]+"),
                        "main line: goes on, greet has ended: no", "main line: joined",
                        MatchesRegex("greet: rank 1 on .+, parent process [0-9]+, process [0-9]+"), "hello bob"}));
  const Numbers main_line = numbers(out, "main line: rank 0 on %*[^,], parent process %lf, process %lf");
  const Numbers body = numbers(out, "greet: rank 1 on %*[^,], parent process %lf, process %lf");
  EXPECT_EQ(main_line.first, body.first) << "both are mpirun's";
  EXPECT_NE(main_line.second, body.second);
}

TEST(row03, four_workers_take_ten_tasks_in_three_waves) {
  for (const int ranks : {1, 5}) {
    std::vector<std::string> out = run_example("row03_map", ranks);
    ASSERT_EQ(out.size(), 12U);
    const double alone_s = numbers(out, "one after the other: %lf s").first;
    const double map_s = numbers(out, "map: %lf s").first;
    // 0.3 of it by four workers, were it not for what else this machine has to do meanwhile.
    if (ranks > 1) {
      EXPECT_LE(map_s, 0.6 * alone_s);
    }
    EXPECT_THAT(std::vector(out.begin() + 2, out.end()), ElementsAreArray(squares));
  }
}

TEST(row04, tuples_are_spread_one_call_is_waited_for_and_async_returns_at_once) {
  for (const int ranks : {1, 3}) {
    EXPECT_THAT(run_example("row04_starmap_apply_map_async", ranks),
                ElementsAre("starmap: 6", "starmap: 120", "starmap: 504", "apply: 42", "map_async: returned, ready: no",
                            "map_async: 0", "map_async: 1", "map_async: 4", "map_async: 9"));
  }
}

TEST(row05, two_workers_take_as_long_as_the_longer_task) {
  for (const int ranks : {1, 3}) {
    const std::vector<std::string> out = run_example("row05_async_result", ranks, {"0.1"});
    const Numbers tasks_s = numbers(out, "tasks: %lf s and %lf s");
    const double all_s = numbers(out, "all: %lf s").first;
    EXPECT_GE(tasks_s.first, 0.2);
    EXPECT_GE(tasks_s.second, 0.3);
    EXPECT_GE(all_s, tasks_s.second);
    if (ranks > 1) {
      EXPECT_LE(all_s, 0.95 * (tasks_s.first + tasks_s.second));
      EXPECT_EQ(out.front(), "the main program goes on; ready: no, no");
    }
    EXPECT_EQ(out.back(), "successful: yes");
  }
}

TEST(row09, cpus_are_those_that_may_be_used) {
  EXPECT_EQ(output({example("row09_cpu_count")}), output(echelon_command({"info", "--quiet"})));
  const std::string cpu = std::to_string(measure::affinity().back());
  EXPECT_THAT(output({"taskset", "-c", cpu, example("row09_cpu_count")}), ElementsAre("1"));
  RunOptions slurm;
  slurm.environment["SLURM_CPUS_ON_NODE"] = "1";
  EXPECT_THAT(output({example("row09_cpu_count")}, slurm), ElementsAre("1"));
}

TEST(row10, results_are_in_order_and_an_endless_input_is_read_as_far_as_needed) {
  for (const int ranks : {1, 5}) {
    std::vector<std::string> out = run_example("row10_imap", ranks);
    ASSERT_EQ(out.size(), 11U);
    const double read = numbers(out, "the first square over 200 is 225; %lf items were read for it").first;
    EXPECT_THAT(read, AllOf(Ge(16), Le(16 + 8))) << "those whose results were taken, and no more than a window of 8";
    out.pop_back();
    EXPECT_THAT(out, ElementsAreArray(squares));
  }
}

TEST(row11, results_are_the_same_in_the_order_of_completion) {
  for (const int ranks : {1, 5}) {
    std::vector<std::string> out = run_example("row11_imap_unordered", ranks);
    ASSERT_THAT(out, Not(IsEmpty()));
    EXPECT_EQ(out.front().starts_with("0 from "), ranks == 1) << "which takes longest";
    const std::string who = ranks == 1 ? "0" : "[1-4]";
    std::vector<testing::Matcher<std::string>> expected;
    for (const std::string& square : squares) expected.push_back(MatchesRegex(square + " from rank " + who));
    EXPECT_THAT(out, UnorderedElementsAreArray(expected));
  }
}

TEST(pool, all_calls_answer_right) {
  for (const int ranks : {1, 3}) EXPECT_THAT(run_example("pool", ranks), IsEmpty());
}

}  // namespace
}  // namespace echelon::test
