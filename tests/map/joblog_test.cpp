#include <string>

#include <gtest/gtest.h>

#include <echelon/map/joblog.hpp>

#include "support/shell.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::map {
namespace {

farm::Ending ending() {
  farm::Ending one;
  one.task = 4;
  one.host = "node07";
  one.rank = 3;
  one.started_at = 1795263820.0994;
  one.wall_s = 0.1151;
  one.output_bytes = 588895;
  return one;
}

TEST(joblog, has_the_columns_of_gnu_parallel) {
  EXPECT_EQ(joblog_header(), "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n");
  EXPECT_EQ(joblog_line(ending(), "cat 'x y'"), "5\tnode07\t1795263820.099\t     0.115\t0\t588895\t0\t0\tcat 'x y'\n");
}

TEST(joblog, tells_how_a_task_failed) {
  farm::Ending one = ending();
  one.exit_code = 3;
  EXPECT_NE(joblog_line(one, "x").find("\t3\t0\tx\n"), std::string::npos);
  one.exit_code = 0;
  one.signal = 9;
  EXPECT_NE(joblog_line(one, "x").find("\t0\t9\tx\n"), std::string::npos);
  one.timed_out = true;
  EXPECT_NE(joblog_line(one, "x").find("\t-1\t9\tx\n"), std::string::npos);
  one.signal = 0;
  EXPECT_NE(joblog_line(one, "x").find("\t-1\t15\tx\n"), std::string::npos);
  one = ending();
  one.rank = -1;
  EXPECT_NE(joblog_line(one, "x").find("\t-1\t0\tx\n"), std::string::npos);
}

TEST(joblog, keeps_a_command_on_one_line) {
  using std::string_literals::operator""s;
  const std::string line = joblog_line(ending(), "a\tb\nc\n");
  EXPECT_EQ(line.substr(line.size() - 7), "a\tb\0c\0\n"s);
  EXPECT_NE(joblog_line(ending(), "").find("\t0\t0\t\n"), std::string::npos);
}

TEST(joblog, has_long_times_and_large_outputs_whole) {
  farm::Ending one = ending();
  one.wall_s = 12345678.9012;
  one.output_bytes = 1'000'000'000'000;
  EXPECT_NE(joblog_line(one, "x").find("\t12345678.901\t0\t1000000000000\t"), std::string::npos);
}

/// Everything but the time, the run time's digits and the host. What a signal has ended has exit value 0 here as in
/// older versions of GNU parallel; newer ones give 128 and the signal, as shells do.
TEST(joblog, is_that_of_gnu_parallel) {
  if (test::output_of_shell("command -v parallel").empty()) GTEST_SKIP() << "GNU parallel is not installed";
  const test::TemporaryFolder folder;
  const std::string log = folder.path() / "log";
  (void)test::output_of_shell("parallel --will-cite -j1 --joblog " + log +
                              " ::: 'echo hello' 'exit 3' 'kill -9 $$' >/dev/null 2>&1");
  const std::vector<std::string> lines = test::split(test::output_of_shell("cat " + log));
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines[0] + "\n", joblog_header());
  const char* const commands[] = {"echo hello", "exit 3", "kill -9 $$"};
  for (std::size_t i = 0; i < 3; ++i) {
    std::vector<std::string> theirs = test::split(lines[i + 1], '\t');
    ASSERT_EQ(theirs.size(), 9U);
    if (theirs[7] == "9" && theirs[6] == "137") theirs[6] = "0";
    farm::Ending one;
    one.task = i;
    one.host = theirs[1];
    one.rank = 0;
    one.started_at = std::stod(theirs[2]);
    one.wall_s = std::stod(theirs[3]);
    one.output_bytes = i == 0 ? 6 : 0;
    one.exit_code = i == 1 ? 3 : 0;
    one.signal = i == 2 ? 9 : 0;
    theirs.back() += "\n";
    EXPECT_EQ(test::split(joblog_line(one, commands[i]), '\t'), theirs);
  }
}

}  // namespace
}  // namespace echelon::map
