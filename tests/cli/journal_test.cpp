// The program's view of a journal. The journals are made here: what a run writes is for the tests of map.
#include <fstream>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/farm/journal.hpp>
#include <echelon/map/journal_file.hpp>

#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

namespace journal = farm::journal;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

farm::Ending ending_of(std::uint64_t task, int exit_code) {
  farm::Ending ending;
  ending.task = task;
  ending.host = "node1";
  ending.rank = 2;
  ending.started_at = 1000.0 + static_cast<double>(task);
  ending.wall_s = 2;
  ending.exit_code = exit_code;
  ending.output_bytes = 7;
  return ending;
}

class JournalCommandTest : public testing::Test {
 protected:
  TemporaryFolder folder;
  std::string text =
      journal::to_text(journal::Header{"run {}", "\n", "/x/out", true, "node0", 1, {"file /x/list", "argument a"}}) +
      journal::to_text(journal::Run{"node0", 4711, 1e9});

  void add_tasks(std::uint64_t count) {
    for (std::uint64_t task = 0; task < count; ++task) {
      text += journal::to_text(journal::Task{task, "echo " + std::to_string(task)});
    }
  }
  void add(const journal::Line& line) { text += journal::to_text(line); }
  [[nodiscard]] Outcome show(const Arguments& arguments = {}) const {
    folder.write("run.log", text);
    const Outcome outcome = run_echelon(Arguments{"journal", "run.log"} + arguments, {.folder = folder.path()});
    EXPECT_EQ(contents("run.log"), text) << "it is not changed";
    return outcome;
  }
  [[nodiscard]] std::string contents(const std::string& name) const {
    std::ostringstream all;
    all << std::ifstream{folder.path() / name, std::ios::binary}.rdbuf();
    return all.str();
  }
  /// 5 tasks: good, failed, killed, open, good at the second attempt.
  void add_some() {
    add_tasks(5);
    add(journal::Done{ending_of(4, 9), journal::Piece{0, 7}});
    add(journal::Again{});
    add(journal::Done{ending_of(0, 0), journal::Piece{7, 7}});
    farm::Ending failed = ending_of(1, 3);
    failed.attempts = 2;
    failed.reason = "no such input";
    add(journal::Done{failed, journal::Piece{14, 7}});
    farm::Ending killed = ending_of(2, 0);
    killed.signal = 11;
    add(journal::Done{killed, std::nullopt});
    add(journal::Done{ending_of(4, 0), journal::Piece{21, 7}});
    add(journal::ListEnd{5});
  }
};

TEST_F(JournalCommandTest, shows_what_is_done_and_what_is_left) {
  add_some();
  const Outcome outcome = show();
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out, HasSubstr("command   run {}\n"));
  EXPECT_THAT(outcome.out, HasSubstr("tasks of  file /x/list, argument a\n"));
  EXPECT_THAT(outcome.out, HasSubstr("output    /x/out, in the list's order\n"));
  EXPECT_THAT(outcome.out, HasSubstr("tasks     5\n"));
  EXPECT_THAT(outcome.out, HasSubstr("ended     2 good, 2 failed\n"));
  EXPECT_THAT(outcome.out, HasSubstr("left      1\n"));
  EXPECT_THAT(outcome.out, HasSubstr("by process 4711 on node0\n"));
  EXPECT_THAT(outcome.out, HasSubstr("time      1970-01-01 00:16:40 UTC to 1970-01-01 00:16:46 UTC, 6.0 s"));
  EXPECT_THAT(outcome.out, HasSubstr("\ntask 2: status 3, 2 attempts, on node1: echo 1: no such input\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\ntask 3: signal 11, on node1: echo 2\n"));
  EXPECT_THAT(outcome.out, HasSubstr("--resume"));
}

TEST_F(JournalCommandTest, twenty_failures_are_shown_and_all_where_asked) {
  add_tasks(25);
  for (std::uint64_t task = 0; task < 25; ++task) add(journal::Done{ending_of(task, 1), std::nullopt});
  const Outcome some = show();
  EXPECT_THAT(some.out, HasSubstr("task 20: status 1"));
  EXPECT_THAT(some.out, Not(HasSubstr("task 21: status 1")));
  EXPECT_THAT(some.out, HasSubstr("and 5 more; --all shows them\n"));
  const Outcome all = show({"--all"});
  EXPECT_THAT(all.out, HasSubstr("task 25: status 1"));
  EXPECT_THAT(all.out, Not(HasSubstr("more; --all")));
}

TEST_F(JournalCommandTest, left_are_those_that_failed_or_are_open) {
  add_some();
  EXPECT_EQ(show({"--left", "-"}).out, "echo 1\necho 2\necho 3\n");
  EXPECT_EQ(show({"--left", "-", "-0"}).out, std::string("echo 1\0echo 2\0echo 3\0", 21));
  const Outcome outcome = show({"--left", "left"});
  EXPECT_THAT(outcome.out, HasSubstr("left      1\n"));
  EXPECT_EQ(contents("left"), "echo 1\necho 2\necho 3\n");
}

TEST_F(JournalCommandTest, left_of_a_list_that_was_not_read_to_its_end_says_so) {
  add_tasks(1);
  const Outcome outcome = show({"--left", "-"});
  EXPECT_EQ(outcome.out, "echo 0\n");
  EXPECT_THAT(outcome.err, HasSubstr("note: --left: the list was not read to its end"));
  EXPECT_THAT(show().out, HasSubstr("tasks     1, and more where the list was not read to its end\n"));
  EXPECT_THAT(show().out, HasSubstr("left      1 or more\n"));
  add(journal::Done{ending_of(0, 0), std::nullopt});
  EXPECT_THAT(show().out, AllOf(HasSubstr("left      0 or more\n"), HasSubstr("To go on: ")));
  add(journal::ListEnd{1});
  EXPECT_THAT(show().out, AllOf(HasSubstr("left      0\n"), Not(HasSubstr("To go on: "))));
}

TEST_F(JournalCommandTest, lines_with_newlines_need_nul) {
  add(journal::Task{0, "a\nb"});
  EXPECT_EQ(show({"--left", "-"}).exit_code, 2);
  EXPECT_EQ(show({"--left", "-", "--null"}).out, std::string("a\nb\0", 4));
}

TEST_F(JournalCommandTest, joblog_has_each_ending_that_counts_once) {
  add_some();
  const Outcome outcome = show({"--joblog", "-"});
  const std::vector<std::string> all = lines(outcome.out);
  ASSERT_EQ(all.size(), 5U) << outcome;
  EXPECT_EQ(all[0], "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand");
  EXPECT_THAT(all[1], ContainsRegex("^1\tnode1\t.*\t7\t0\t0\techo 0$"));
  EXPECT_THAT(all[2], ContainsRegex("^2\tnode1\t.*\t7\t3\t0\techo 1$"));
  EXPECT_THAT(all[3], ContainsRegex("^3\tnode1\t.*\t11\techo 2$"));
  EXPECT_THAT(all[4], ContainsRegex("^5\tnode1\t.*\t7\t0\t0\techo 4$"));
}

TEST_F(JournalCommandTest, damage_is_noted) {
  add_some();
  text[text.find("\tdone\t0\t") + 2] = 'X';
  Outcome outcome = show();
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.err, ContainsRegex("echelon: note: line 10 of 'run.log' is damaged"));
  EXPECT_THAT(outcome.out, HasSubstr("ended     1 good, 2 failed\n"));
  text.resize(text.size() - 3);
  outcome = show();
  EXPECT_THAT(outcome.err, HasSubstr("were not written to their end"));
}

TEST_F(JournalCommandTest, a_journal_in_use_is_shown_too) {
  map::JournalOptions options;
  options.path = folder.path() / "live.log";
  map::JournalFile live{options};
  (void)live.list(0, "echo");
  live.flush();
  const Outcome outcome = run_echelon({"journal", options.path});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.out, HasSubstr("by process " + std::to_string(getpid()) + " on "));
  EXPECT_THAT(outcome.out, HasSubstr(": a run is writing it\n"));
  EXPECT_THAT(outcome.out, HasSubstr("left      1 or more\n"));
}

TEST_F(JournalCommandTest, what_cannot_be_shown_is_one_line) {
  folder.write("text", "hello\n");
  folder.write("empty", "");
  for (const std::string name : {"text", "empty", "missing", "."}) {
    const Outcome outcome = run_echelon({"journal", name}, {.folder = folder.path()});
    EXPECT_EQ(outcome.exit_code, 2) << outcome;
    EXPECT_EQ(lines(outcome.err).size(), 1U) << outcome;
    EXPECT_EQ(outcome.out, "");
  }
  EXPECT_EQ(show({"--left", "-", "--joblog", "-"}).exit_code, 2);
  EXPECT_EQ(show({"-0"}).exit_code, 2);
  EXPECT_EQ(show({"--left", "no/folder"}).exit_code, 2);
}

}  // namespace
}  // namespace echelon::test
