// What a resumed run says of the whole list: its status and counts, its logs, and what to type next.
#include <csignal>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "cli/map_fixture.hpp"

namespace echelon::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class map_resume : public MapTest {
 protected:
  [[nodiscard]] std::string counts(const Outcome& outcome) const {
    return lines(outcome.err).empty() ? "" : lines(outcome.err)[0];
  }
  /// Of what `echelon -n` has started.
  [[nodiscard]] static pid_t rank_0(pid_t echelon) {
    for (const Process& process : descendants(echelon)) {
      if (variable_of(process.pid, "OMPI_COMM_WORLD_RANK") == "0") return process.pid;
    }
    return -1;
  }
};

TEST_F(map_resume, tasks_that_failed_before_have_failed) {
  const Arguments work{"--joblog", "log", "test -e mended || test {} -lt 4", ":::", "1", "2", "3", "4", "5"};
  const Outcome first = map(work);
  EXPECT_EQ(first.exit_code, 3) << first;
  EXPECT_THAT(counts(first), HasSubstr("3 tasks ended well, 2 failed"));
  write("mended", "");
  const Outcome second = map(Arguments{"--resume", "--json", "record"} + work);
  EXPECT_EQ(second.exit_code, 3) << second;
  EXPECT_THAT(counts(second), HasSubstr("3 tasks ended well, 2 failed, 5 had ended before (2 failed; --resume-failed"));
  EXPECT_THAT(read("record"), AllOf(HasSubstr("\"failed\": 2"), HasSubstr("\"succeeded\": 3"),
                                    HasSubstr("\"ended_before\": 5"), HasSubstr("\"failed_before\": 2")));
  const Outcome third = map(Arguments{"--resume-failed"} + work);
  EXPECT_EQ(third.exit_code, 0) << third;
  EXPECT_THAT(counts(third), HasSubstr("5 tasks ended well, 0 failed, 3 had ended before  "));
  const Outcome fourth = map(Arguments{"--resume"} + work);
  EXPECT_EQ(fourth.exit_code, 0) << fourth;
  EXPECT_THAT(counts(fourth), HasSubstr("5 tasks ended well, 0 failed, 5 had ended before  "));
}

TEST_F(map_resume, a_percentage_to_halt_at_is_of_the_whole_list) {
  const std::string list = "1\n0\n0\n1\n0\n0\n0\n0\n0\n0\n";
  const auto halted_at = [&](const std::string& halt) {
    const Outcome first = run_echelon(
        {"map", "-j", "1", "--quiet", "--force", "--journal", "j", "--halt", "soon,done=2", "exit {}"}, here(list));
    EXPECT_EQ(first.exit_code, 3) << first;
    const Outcome second =
        run_echelon({"map", "-j", "1", "--resume", "--journal", "j", "--halt", halt, "exit {}"}, here(list));
    EXPECT_EQ(second.exit_code, 3) << second;
    return counts(second).substr(0, counts(second).find(" failed"));
  };
  EXPECT_EQ(halted_at("soon,fail=10%"), "1 task ended well, 1") << "it had been reached";
  EXPECT_EQ(halted_at("soon,fail=20%"), "2 tasks ended well, 2");
  EXPECT_EQ(halted_at("soon,done=50%"), "3 tasks ended well, 2");
  EXPECT_EQ(halted_at("soon,fail=1"), "2 tasks ended well, 2") << "a number is of this run";
  EXPECT_EQ(halted_at("soon,fail=2"), "8 tasks ended well, 2");
}

// Killed between its line in the log and that in the journal, a task is run again.
TEST_F(map_resume, the_joblog_has_each_task_once_whenever_rank_0_was_killed) {
  constexpr int count = 4000;
  const Arguments work{"-n", "3", "map", "--quiet", "--resume", "--joblog", "log", "echo"};
  int more_in_log = 0;
  for (int round = 0; round < 4; ++round) {
    const std::size_t before = lines(read("log")).size();
    RunningProgram program{echelon_command(work), here(numbers(count))};
    ASSERT_TRUE(wait_until([&] { return lines(read("log")).size() > before + 50; }));
    kill(rank_0(program.pid()), SIGKILL);
    const Outcome outcome = program.wait();
    EXPECT_EQ(outcome.exit_code, 4) << outcome;
    EXPECT_THAT(outcome.err, HasSubstr("the run is lost, --resume goes on with what is done\n"));
    const Outcome journal = run_echelon({"journal", "log.journal", "--joblog", "-"}, here());
    if (lines(read("log")).size() > lines(journal.out).size()) ++more_in_log;
  }
  EXPECT_GE(more_in_log, 1) << "no kill came between the two";
  const Outcome last = run_echelon(work, here(numbers(count)));
  EXPECT_EQ(last.exit_code, 0) << last;
  const auto times = tasks_of_joblog(read("log"));
  EXPECT_EQ(times.size(), std::size_t{count});
  for (const auto& [task, often] : times) EXPECT_EQ(often, 1) << "task " << task;
  EXPECT_EQ(run_echelon({"journal", "log.journal", "--joblog", "-"}, here()).out, read("log"));
}

TEST_F(map_resume, by_content_the_joblog_has_the_numbers_of_the_journal) {
  ASSERT_EQ(map({"--joblog", "log", "echo", ":::", "a", "b"}).exit_code, 0);
  ASSERT_EQ(map({"--joblog", "log", "--by-content", "echo", ":::", "c", "b", "d"}).exit_code, 0);
  EXPECT_EQ(tasks_of_joblog(read("log")), (std::map<int, int>{{1, 1}, {2, 1}, {3, 1}, {4, 1}}));
  EXPECT_EQ(run_echelon({"journal", "log.journal", "--joblog", "-"}, here()).out, read("log"));
}

TEST_F(map_resume, what_to_type_after_a_lost_run_is_said) {
  RunningProgram program{echelon_command({"-n", "2", "map", "touch begun; sleep 1000", ":::", "1"}), here()};
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(path("begun")); }));
  kill(rank_0(program.pid()), SIGKILL);
  const Outcome outcome = program.wait();
  EXPECT_EQ(outcome.exit_code, 4);
  EXPECT_THAT(outcome.err, HasSubstr("the run is lost, start it again; with --journal FILE, --resume would go on"));
}

}  // namespace
}  // namespace echelon::test
