// Each example runs alone and on the number of ranks that its first lines name, and prints what they promise.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numbers>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/measure/machine.hpp>

#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

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
using testing::UnorderedElementsAre;
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

TEST(row06, items_come_once_and_in_order) {
  EXPECT_THAT(run_example("row06_queue", 2),
              ElementsAre("rank 1 got 0", "rank 1 got 1", "rank 1 got 2", "rank 1 got 3", "rank 1 got 4"));
  std::vector<std::string> items;
  for (const std::string& line : run_example("row06_queue", 4)) items.push_back(line.substr(line.size() - 5));
  EXPECT_THAT(items, UnorderedElementsAre("got 0", "got 1", "got 2", "got 3", "got 4"));
}

TEST(row06, alone_nobody_takes_anything) {
  const Outcome outcome = run_program({example("row06_queue")}, alone());
  EXPECT_EQ(outcome.exit_code, 2) << outcome;
  EXPECT_THAT(outcome.err, MatchesRegex("echelon: nobody takes anything out of the queue: [^\n]*\n"));
}

TEST(row07, both_ways_in_order_to_the_end_of_file) {
  for (const int ranks : {2, 3}) {
    std::vector<std::string> out = run_example("row07_pipe", ranks);
    EXPECT_EQ(std::erase(out, "end of file"), 1U);
    EXPECT_THAT(
        out, ElementsAre("1 squared is 1", "2 squared is 4", "3 squared is 9", "4 squared is 16", "5 squared is 25"));
  }
}

TEST(row08, no_update_is_lost) {
  EXPECT_THAT(run_example("row08_value_array_lock", 1), ElementsAre("sum 50, count 100, table 20 20 20 20 20"));
  EXPECT_THAT(run_example("row08_value_array_lock", 4), ElementsAre("sum 200, count 400, table 80 80 80 80 80"));
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

std::vector<std::string> file_lines(const std::filesystem::path& path) {
  std::vector<std::string> found;
  std::ifstream in{path};
  for (std::string line; std::getline(in, line);) found.push_back(line);
  return found;
}

TEST(row12, lines_of_all_bodies_are_whole) {
  for (const int ranks : {1, 2, 3}) {
    const TemporaryFolder folder;
    const std::string file = folder.path() / "file";
    std::vector<std::string> printed;
    std::vector<std::string> written;
    for (int line = 0; line < 10; ++line) {
      for (int rank = 0; rank < std::max(ranks - 1, 1); ++rank) {
        printed.push_back("rank " + std::to_string(rank) + " prints line " + std::to_string(line));
      }
      written.push_back("line " + std::to_string(line) + " of the file");
    }
    EXPECT_THAT(run_example("row12_different_bodies", ranks, {file}), UnorderedElementsAreArray(printed));
    EXPECT_EQ(file_lines(file), written);
  }
}

TEST(row13, table_is_the_same_on_any_ranks_and_each_holds_its_part) {
  constexpr double table_mib = 16e6 * 8 / (1 << 20);
  constexpr double most_of_all_else_mib = 60;
  for (const int ranks : {1, 3, 4}) {
    std::vector<std::string> out = run_example("row13_array", ranks);
    ASSERT_EQ(out.size(), static_cast<std::size_t>(ranks) + 1);
    // The first number is the published first output of splitmix64 from seed 0.
    EXPECT_EQ(std::erase(out, "first e220a8397b1dcdaf, last 87e92e2af3721513, checksum 8695a063f2471478"), 1U)
        << testing::PrintToString(out);
    for (const std::string& line : out) {
      const Numbers rank = numbers({line}, "rank %*d: %lf numbers, peak memory %lf MiB");
      EXPECT_NEAR(rank.first, 16e6 / ranks, 1);
      EXPECT_THAT(rank.second, AllOf(Ge(table_mib / ranks), Le(table_mib / ranks + most_of_all_else_mib)));
    }
  }
}

TEST(row14, four_ranks_make_exactly_400) {
  for (const int ranks : {1, 4}) {
    EXPECT_THAT(run_example("row14_counter", ranks), ElementsAre(std::to_string(100 * ranks)));
  }
}

TEST(row15, every_rank_s_line_is_there_and_whole) {
  const TemporaryFolder folder;
  const std::string file = folder.path() / "log";
  for (const int ranks : {1, 4}) {
    std::vector<std::string> expected;
    for (int rank = 0; rank < ranks; ++rank) expected.push_back("rank " + std::to_string(rank) + " was here");
    const std::vector<std::string> out = run_example("row15_log", ranks, {file});
    EXPECT_THAT(out, UnorderedElementsAreArray(expected));
    EXPECT_EQ(out, file_lines(file));
  }
}

TEST(row16, ranks_get_what_one_gets) {
  for (const int ranks : {1, 3, 4}) {
    for (const char* points : {"1000000", "1000003"}) {
      const std::vector<std::string> out = run_example("row16_pi", ranks, {points});
      for (const char* how : {"sequential", "ranks"}) {
        const Numbers found = numbers(out, (std::string{how} + ": pi = %lf, error %lf").c_str());
        EXPECT_NEAR(found.first, std::numbers::pi, 1e-11) << how;
        EXPECT_LE(found.second, 1e-11) << how;
      }
    }
  }
}

/// The lines of a table of numbers, without its head.
std::vector<std::vector<double>> rows_of(const std::vector<std::string>& table) {
  std::vector<std::vector<double>> rows;
  for (std::size_t i = 1; i < table.size(); ++i) {
    std::istringstream in{table[i]};
    rows.emplace_back(std::istream_iterator<double>{in}, std::istream_iterator<double>{});
  }
  return rows;
}

TEST(row17, a_line_for_each_number_of_threads) {
  const auto rows = rows_of(output({example("row17_pi_threads"), "20000000", "3"}));
  ASSERT_EQ(rows.size(), 3U);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ASSERT_EQ(rows[i].size(), 4U);
    const auto threads = static_cast<double>(i + 1);
    EXPECT_EQ(rows[i][0], threads);
    EXPECT_GT(rows[i][1], 0);
    EXPECT_THAT(rows[i][2], AllOf(Ge(1), Le(100 * threads + 20)));
    EXPECT_NEAR(rows[i][3], std::numbers::pi, 1e-11);
  }
}

TEST(row18, a_line_for_each_number_of_ranks) {
  const auto rows = rows_of(output({example("row18_scaling"), ECHELON_PROGRAM, "1e8", "2"}));
  ASSERT_EQ(rows.size(), 2U);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ASSERT_EQ(rows[i].size(), 4U);
    EXPECT_EQ(rows[i][0], static_cast<double>(i + 1));
    EXPECT_GT(rows[i][1], 0);
    EXPECT_THAT(rows[i][2], AllOf(Ge(1), Le(100 * static_cast<double>(i + 1) + 60))) << "two ranks and mpirun";
    EXPECT_NEAR(rows[i][3], rows[0][1] / rows[i][1], 0.02 * rows[i][3]);
  }
  EXPECT_EQ(run_program({example("row18_scaling"), "/proc/nonexistent"}, alone()).exit_code, 4);
}

TEST(pool, all_calls_answer_right) {
  for (const int ranks : {1, 3}) EXPECT_THAT(run_example("pool", ranks), IsEmpty());
}

}  // namespace
}  // namespace echelon::test
