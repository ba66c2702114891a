#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

using testing::HasSubstr;

class map_command : public testing::Test {
 protected:
  ~map_command() override { expect_nothing_left(); }

  RunOptions here(const std::string& input = "") {
    RunOptions options{.folder = folder.path(), .limit = std::chrono::seconds{120}};
    if (!input.empty()) {
      folder.write("input", input);
      options.input_file = (folder.path() / "input").string();
    }
    return alone(options);
  }
  std::string read(const std::string& name) const {
    std::ifstream file{folder.path() / name};
    return {std::istreambuf_iterator<char>{file}, {}};
  }
  static std::string numbers(int count) {
    std::string text;
    for (int i = 1; i <= count; ++i) text += std::to_string(i) + "\n";
    return text;
  }
  std::vector<std::string> sorted_lines(const std::string& name) const {
    std::vector<std::string> all = lines(read(name));
    std::ranges::sort(all, {}, [](const std::string& line) { return std::stoi(line); });
    return all;
  }

  TemporaryFolder folder;
};

TEST_F(map_command, inputs_of_all_kinds_in_order) {
  const Outcome arguments =
      run_echelon({"-n", "3", "map", "--quiet", "-k", "echo", "{1}-{2}", ":::", "a", "b c", ":::", "1", "2"}, here());
  EXPECT_EQ(arguments.exit_code, 0) << arguments;
  EXPECT_EQ(arguments.out, "a-1\na-2\nb c-1\nb c-2\n");
  const Outcome input = run_echelon({"-n", "3", "map", "--quiet", "-k", "--tag", "echo"}, here("x\n$HOME\n"));
  EXPECT_EQ(input.out, "x\tx\n$HOME\t$HOME\n") << input;
  const Outcome commands = run_echelon({"map", "--quiet", "-k", "-j", "2"}, here("echo 1; echo 2\nprintf 3\n"));
  EXPECT_EQ(commands.out, "1\n2\n3") << commands;
}

TEST_F(map_command, one_rank_alone_runs_them_too) {
  const Outcome outcome = run_mpirun(1, {"map", "--quiet", "-k", "echo", ":::", "a", "b"}, here());
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.out, "a\nb\n");
}

TEST_F(map_command, dry_run_prints_and_runs_nothing) {
  const Outcome outcome = run_echelon({"map", "--dry-run", "touch {}.x; echo {#}", ":::", "a b"}, here());
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.out, "touch 'a b'.x; echo 1\n");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "a b.x"));
}

TEST_F(map_command, failures_are_told_with_their_last_line_and_the_others_are_run) {
  const Outcome outcome =
      run_echelon({"-n", "3", "map", "--timeout", "0.5", "-k"},
                  here("echo good\necho why >&2; exit 7\nkill -SEGV $$\nkill -9 0\nsleep 1000\n"
                       "trap '' TERM; while :; do sleep 0.1; done\nsleep 1000 & echo left\necho end\n"));
  EXPECT_EQ(outcome.exit_code, 3) << outcome;
  EXPECT_EQ(outcome.out, "good\nleft\nend\n");
  for (const std::string text :
       {"3 tasks ended well, 5 failed", "task 2 ended with status 7", "exit 7: why", "task 3 was killed by signal 11",
        "task 4 was killed by signal 9", "task 5 ran longer than its limit", "task 6 ran longer than its limit"}) {
    EXPECT_THAT(outcome.err, HasSubstr(text));
  }
}

TEST_F(map_command, a_failed_command_is_tried_again) {
  const Outcome outcome = run_echelon(
      {"-n", "3", "map", "--quiet", "--retries", "3", "echo $ECHELON_ATTEMPT; test $ECHELON_ATTEMPT = 3 #", ":::", "a"},
      here());
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.out, "3\n");  // of the last attempt only
}

TEST_F(map_command, output_of_megabytes_stays_whole_within_a_node_and_between_two) {
  for (const char* const ranks_a_node : {"0", "1"}) {
    RunOptions options = here();
    if (*ranks_a_node == '1') options.environment["ECHELON_RANKS_A_NODE"] = "1";
    const Outcome outcome = run_echelon(
        {"-n", "3", "map", "--quiet", "-k", "head -c {} /dev/zero | tr '\\0' x", ":::", "5000000", "3", "2000000"},
        options);
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.out.size(), 7'000'003U);
    EXPECT_EQ(outcome.out.find_first_not_of('x'), std::string::npos);
  }
}

TEST_F(map_command, a_signal_stops_it_and_resume_goes_on_with_each_output_once) {
  const Arguments map{"-n", "3", "map", "--output", "out", "sleep 0.1; echo {}"};
  RunningProgram first{echelon_command(map), here(numbers(60))};
  ASSERT_TRUE(wait_until([&] { return lines(read("out")).size() > 4; }));
  kill(first.pid(), SIGINT);
  const Outcome stopped = first.wait();
  EXPECT_EQ(stopped.exit_code, 75) << stopped;
  EXPECT_LT(lines(read("out")).size(), 60U);
  Arguments resumed = map;
  resumed.insert(resumed.begin() + 3, "--resume");
  const Outcome second = run_echelon(resumed, here(numbers(60)));
  EXPECT_EQ(second.exit_code, 0) << second;
  EXPECT_EQ(sorted_lines("out"), lines(numbers(60)));
}

/// The tasks, from 1, that the journal in `folder` has as finished.
std::vector<int> finished_tasks(const RunOptions& in_folder) {
  const Outcome joblog = run_echelon({"journal", "out.journal", "--joblog", "-"}, in_folder);
  EXPECT_EQ(joblog.exit_code, 0) << joblog;
  std::vector<int> tasks;
  for (const std::string& line : lines(joblog.out)) {
    if (!line.starts_with("Seq")) tasks.push_back(std::stoi(line));
  }
  std::ranges::sort(tasks);
  return tasks;
}

// ECHELON_KILLS=50 kills so often, ECHELON_KILLS_SEED=N at moments that were tried before.
TEST_F(map_command,
       killed_altogether_at_random_moments_and_resumed_each_output_is_there_once_and_no_task_finished_twice) {
  const char* const kills = std::getenv("ECHELON_KILLS");
  const int rounds = kills != nullptr ? std::stoi(kills) : 6;
  const char* const seed_text = std::getenv("ECHELON_KILLS_SEED");
  const auto seed = seed_text != nullptr ? std::stoul(seed_text) : std::random_device{}();
  SCOPED_TRACE("ECHELON_KILLS_SEED=" + std::to_string(seed));
  std::mt19937_64 random{seed};
  const std::string tasks = numbers(50 * rounds);
  const Arguments map{"-n",       "3",        "map", "--quiet",
                      "--resume", "--output", "out", "echo {} >> ran; sleep 0.02; echo {}"};
  std::vector<std::pair<std::vector<int>, std::size_t>> before_each;  // what was finished, and lines of `ran`
  for (int round = 0; round < rounds; ++round) {
    RunningProgram program{echelon_command(map), here(tasks)};
    poll(nullptr, 0, static_cast<int>(random() % 1200));  // the start takes some 250 of these ms
    for (const Process& process : descendants(program.pid())) kill(process.pid, SIGKILL);
    kill(program.pid(), SIGKILL);
    (void)program.wait();
    ASSERT_TRUE(wait_until([] { return descendants(getpid()).empty(); }));
    if (!std::filesystem::exists(folder.path() / "out.journal")) continue;
    before_each.emplace_back(finished_tasks(here()), lines(read("ran")).size());
  }
  const Outcome last = run_echelon(map, here(tasks));
  EXPECT_EQ(last.exit_code, 0) << last;
  EXPECT_EQ(sorted_lines("out"), lines(tasks));
  const std::vector<std::string> ran = lines(read("ran"));
  for (const auto& [finished, lines_then] : before_each) {
    for (std::size_t i = lines_then; i < ran.size(); ++i) {
      EXPECT_FALSE(std::ranges::binary_search(finished, std::stoi(ran[i]))) << ran[i] << " was finished and ran again";
    }
  }
  RecordProperty("finished_before_the_last_run",
                 static_cast<int>(before_each.empty() ? 0 : before_each.back().first.size()));
}

TEST_F(map_command, where_nobody_reads_any_more_it_stops_and_what_was_not_read_is_left) {
  const Arguments map = echelon_command({"-n", "3", "map", "--journal", "log", "-k", "echo {}; sleep 0.01"});
  const Outcome outcome = run_program(
      Arguments{"bash", "-c", "\"$@\" | head -n 1; exit ${PIPESTATUS[0]}", "bash"} + map, here(numbers(2000)));
  EXPECT_EQ(outcome.exit_code, 75) << outcome;
  EXPECT_EQ(outcome.out, "1\n");
  EXPECT_THAT(outcome.err, HasSubstr("nobody reads it any more; what is left was not run"));
  const Outcome journal = run_echelon({"journal", "log", "--left", "left"}, here());
  EXPECT_EQ(journal.exit_code, 0) << journal;
  EXPECT_THAT(lines(read("left")), Not(testing::IsEmpty()));
}

TEST_F(map_command, what_cannot_end_before_the_allocation_does_is_not_started) {
  RunOptions options = here(numbers(200));
  constexpr int lasts_s = 5;
  options.environment["SLURM_JOB_END_TIME"] = std::to_string(time(nullptr) + lasts_s);
  const Outcome outcome =
      run_echelon({"-n", "3", "map", "--output", "out", "--time-request", "2", "sleep 0.2; echo {}"}, options);
  EXPECT_EQ(outcome.exit_code, 75) << outcome;
  EXPECT_THAT(outcome.err, HasSubstr("shorter than --time-request; what is left was not run"));
  const std::size_t done = lines(read("out")).size();
  EXPECT_GE(done, 1U);
  EXPECT_LT(done, 2U * lasts_s * 5);  // of two workers, five a second
  options.environment["SLURM_JOB_END_TIME"] = std::nullopt;
  options.environment["SLURM_JOB_ID"] = std::nullopt;
  const Outcome refused = run_echelon({"map", "--time-request", "2", "echo"}, options);
  EXPECT_EQ(refused.exit_code, 2) << refused;
  EXPECT_THAT(refused.err, HasSubstr("--time-request: no end of an allocation is known"));
}

TEST_F(map_command, on_a_terminal_progress_makes_way_for_output) {
  folder.write("run", "exec " ECHELON_PROGRAM " map -j 2 'sleep 0.4; echo {}' ::: 1 2 3 4 5 6 7 8");
  const Outcome outcome = run_program({"script", "-qec", "sh run", "/dev/null"}, here());
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  const std::string wiped = " left\r\x1b[K";
  std::size_t shown = 0;
  for (std::size_t at = outcome.out.find(" left"); at != std::string::npos; at = outcome.out.find(" left", at + 1)) {
    ++shown;
    EXPECT_EQ(outcome.out.substr(at, wiped.size()), wiped) << outcome;
  }
  EXPECT_GE(shown, 1U) << outcome;
}

TEST_F(map_command, an_empty_input_is_said_and_no_failure) {
  folder.write("empty", "");
  const Outcome outcome = run_echelon({"-n", "2", "map", "-a", "empty", "echo"}, here());
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, "the input is empty: no command was run\n");
}

TEST_F(map_command, a_killed_worker_loses_nothing) {
  RunningProgram program{echelon_command({"-n", "4", "map", "--output", "out", "sleep 0.05; echo {}"}),
                         here(numbers(100))};
  ASSERT_TRUE(wait_until([&] { return lines(read("out")).size() > 5; }));
  for (const Process& process : descendants(program.pid())) {
    const auto rank = variable_of(process.pid, "OMPI_COMM_WORLD_RANK");
    const auto parent = look_at(process.parent);
    if (rank == "2" && parent && !variable_of(parent->pid, "OMPI_COMM_WORLD_RANK")) kill(process.pid, SIGKILL);
  }
  const Outcome outcome = program.wait();
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.err, HasSubstr("rank 2 on "));
  EXPECT_EQ(sorted_lines("out"), lines(numbers(100)));
}

TEST_F(map_command, a_command_may_be_an_mpi_program) {
  RunOptions options = as_root_too(here());
  const Outcome outcome = run_program(
      echelon_command({"-n", "2", "map", "--quiet", ECHELON_PROGRAM " -n 2 pi --points {} --quiet", ":::", "1e6"}),
      options);
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.out, HasSubstr("3.14159"));
}

TEST_F(map_command, wrong_use_is_one_line) {
  const auto refused = [&](const Arguments& arguments, const std::string& text) {
    const Outcome outcome = run_echelon(arguments, here());
    EXPECT_EQ(outcome.exit_code, 2) << outcome;
    EXPECT_EQ(lines(outcome.err).size(), 1U) << outcome;
    EXPECT_THAT(outcome.err, HasSubstr(text));
  };
  refused({"map", "echo {3}", ":::", "a"}, "{3}");
  refused({"map", "-a", "nowhere", "echo"}, "nowhere");
  refused({"map", "--resume", "echo", ":::", "a"}, "--journal");
  refused({"map", "--timeout", "soon", "echo", ":::", "a"}, "--timeout");
  refused({"map", "--halt", "maybe", "echo", ":::", "a"}, "--halt");
  folder.write("out", "precious");
  refused({"-n", "2", "map", "--output", "out", "echo", ":::", "a"}, "out");
  EXPECT_EQ(read("out"), "precious");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "out.journal"));  // for a run that never was
}

}  // namespace
}  // namespace echelon::test
