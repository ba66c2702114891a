// Work as people have it for `echelon map`: many files, commands that misbehave, inputs and disks that are not right,
// and signals. What is not done is said, in one line where it is one thing, and nothing is lost or left behind.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "support/run_echelon.hpp"
#include "support/shell.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using namespace std::string_literals;

std::string numbers(int count) {
  std::string text;
  for (int i = 1; i <= count; ++i) text += std::to_string(i) + "\n";
  return text;
}

class map_work : public testing::Test {
 protected:
  ~map_work() override { expect_nothing_left(); }

  [[nodiscard]] fs::path path(const std::string& name = "") const { return folder.path() / name; }
  [[nodiscard]] RunOptions here(const std::string& input = "") const {
    RunOptions options{.folder = path(), .limit = std::chrono::seconds{120}};
    folder.write("input", input);
    options.input_file = path("input");
    options.environment["SLURM_JOB_ID"] = std::nullopt;
    return alone(options);
  }
  [[nodiscard]] Outcome map(const Arguments& arguments, const std::string& input = "") const {
    return run_echelon(Arguments{"map", "--quiet", "-j", "2"} + arguments, here(input));
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream file{path(name), std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
  }
  [[nodiscard]] std::string in_order(const std::string& name) const {
    std::vector<std::string> all = lines(read(name));
    std::ranges::sort(all, {}, [](const std::string& line) { return std::stoi(line); });
    std::string text;
    for (const std::string& line : all) text += line + "\n";
    return text;
  }
  /// Exit value and signal by number, from a joblog whose lines are whole.
  [[nodiscard]] std::map<int, std::string> ends(const std::string& name) const {
    std::map<int, std::string> found;
    std::vector<std::string> all = lines(read(name));
    if (!all.empty()) all.erase(all.begin());
    for (const std::string& line : all) {
      const std::vector<std::string> columns = split(line, '\t');
      EXPECT_EQ(columns.size(), 9U) << line;
      if (columns.size() == 9) found[std::stoi(columns[0])] = columns[6] + " " + columns[7];
    }
    return found;
  }
  /// One line that has these words, and nothing printed.
  static void expect_one_line(const Outcome& outcome, int status, const std::vector<std::string>& words) {
    EXPECT_EQ(outcome.exit_code, status) << outcome;
    EXPECT_EQ(lines(outcome.err).size(), 1U) << outcome;
    EXPECT_TRUE(outcome.err.starts_with("echelon: ")) << outcome;
    for (const std::string& word : words) EXPECT_THAT(outcome.err, HasSubstr(word));
  }

  TemporaryFolder folder;
};

// ---- real work ----

TEST_F(map_work, checksums_of_all_documentation_are_those_of_sha256sum) {
  const RunOptions options = here();
  ASSERT_EQ(run_program({"sh", "-c",
                         "find /usr/share/doc -type f -print0 >list && xargs -0 sha256sum <list >expected && test -s "
                         "expected"},
                        options)
                .exit_code,
            0);
  const Outcome outcome = run_program(
      echelon_command({"map", "--quiet", "-j", "2", "-0", "-a", "list", "-k", "--output", "all", "sha256sum"}),
      options);
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.err, "");
  EXPECT_TRUE(read("all") == read("expected")) << "see " << path("all");
}

TEST_F(map_work, each_end_is_told_for_what_it_was) {
  const std::string commands =
      "exit 3\n"
      "kill -SEGV $$\n"
      "kill -KILL 0\n"
      "exec sleep 1000\n"
      "trap '' TERM; while :; do sleep 0.05; done\n"
      // Two that outlive their command, one of them as a daemon that does not listen.
      "sleep 1000 & echo left\n"
      "setsid sh -c 'trap \"\" TERM HUP INT; echo $$ >daemon; exec sleep 1000' & "
      "until test -s daemon; do sleep 0.01; done; echo daemon\n"
      "kill -TERM $PPID; echo helper\n"
      "true\n";
  const Outcome outcome = map({"-k", "--timeout", "2", "--joblog", "log"}, commands);
  EXPECT_EQ(outcome.exit_code, 3) << outcome;
  EXPECT_EQ(outcome.out, "left\ndaemon\nhelper\n");
  const std::map<int, std::string> expected{{1, "3 0"}, {2, "0 11"}, {3, "0 9"}, {4, "-1 15"}, {5, "-1 9"},
                                            {6, "0 0"}, {7, "0 0"},  {8, "0 0"}, {9, "0 0"}};
  EXPECT_EQ(ends("log"), expected);
  EXPECT_FALSE(look_at(std::stoi(read("daemon")))) << "the daemon has survived";
}

TEST_F(map_work, a_command_that_kills_what_runs_it_takes_no_other_along) {
  const Outcome outcome = run_echelon({"map", "-j", "3", "-k", "--joblog", "log"},
                                      here("echo a\nkill -KILL $PPID; sleep 1000\necho b\necho c\n"));
  EXPECT_EQ(outcome.exit_code, 3) << outcome;
  EXPECT_EQ(outcome.out, "a\nb\nc\n");
  EXPECT_THAT(outcome.err, HasSubstr("3 tasks ended well, 1 failed"));
  EXPECT_THAT(outcome.err, HasSubstr("sleep 1000: the process that ran it was killed\n"));
  EXPECT_THAT(outcome.err, testing::Not(HasSubstr("lost"))) << "no rank is";
  EXPECT_EQ(ends("log"), (std::map<int, std::string>{{1, "0 0"}, {2, "0 9"}, {3, "0 0"}, {4, "0 0"}}));
}

TEST_F(map_work, an_output_of_a_gibibyte_is_whole_and_not_in_memory) {
  constexpr long most_kib = 160 << 10;
  const Outcome outcome =
      map({"--output", "out", "yes {} | head -c 1073741824", ":::", "an output of a gibibyte, a line at a time"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  rusage used{};
  getrusage(RUSAGE_CHILDREN, &used);  // the largest of all processes
  EXPECT_LT(used.ru_maxrss, most_kib);
  EXPECT_EQ(fs::file_size(path("out")), 1U << 30U);
  const Outcome same = run_program(
      {"sh", "-c", "yes 'an output of a gibibyte, a line at a time' | head -c 1073741824 | cmp - out"}, here());
  EXPECT_EQ(same.exit_code, 0) << same;
}

TEST_F(map_work, a_command_may_be_an_mpirun) {
  const std::string mpirun = ECHELON_MPIEXEC " -n 2 --oversubscribe --bind-to none " ECHELON_PROGRAM;
  const Outcome outcome = run_program(echelon_command({"map", "--quiet", "-j", "1", "-k",
                                                       mpirun + " pi --points {} --quiet", ":::", "1e6", "0", "2e6"}),
                                      as_root_too(here()));
  EXPECT_EQ(outcome.exit_code, 3) << outcome;  // 0 points cannot be
  EXPECT_THAT(lines(outcome.out), testing::ElementsAre(HasSubstr("3.14159"), HasSubstr("3.14159")));
  EXPECT_THAT(outcome.err, HasSubstr("--points"));
}

// ---- what is wrong with inputs and options ----

TEST_F(map_work, bytes_of_inputs_stay_what_they_are) {
  const std::string names = "new\nline\0it's \"q\"\0$HOME\0 -n\0\0\xff\0"s;
  const Outcome quoted = map({"-k", "-0", "printf '%s\\0'"}, names);
  EXPECT_EQ(quoted.exit_code, 0) << quoted;
  EXPECT_EQ(quoted.out, names);
  const std::string mebibyte(1 << 20, 'x');
  const Outcome large = map({"-k", "v={}; printf %s \"$v\" | wc -c"}, mebibyte + "\nab\n" + mebibyte + "'");
  EXPECT_EQ(large.exit_code, 0) << large;
  EXPECT_EQ(large.out, "1048576\n2\n1048577\n");
  // As a word of a program's it is more than Linux takes, which is that command's failure alone.
  const Outcome word = map({"-k", "--joblog", "log", "/bin/echo"}, mebibyte + "\nab\n");
  EXPECT_EQ(word.exit_code, 3);
  EXPECT_EQ(word.out, "ab\n");
  EXPECT_THAT(word.err, HasSubstr("Argument list too long"));
  EXPECT_EQ(ends("log"), (std::map<int, std::string>{{1, "126 0"}, {2, "0 0"}}));
}

TEST_F(map_work, a_line_with_nul_is_refused_and_what_came_before_is_kept) {
  const Outcome outcome = map({"--journal", "journal", "echo"}, "a\nb\0c\nd\n"s);
  expect_one_line(outcome, 2, {"standard input", "line 2", "NUL", "-0"});
  const Outcome mended = map({"--journal", "journal", "--resume", "echo"}, "a\nb\nd\n");
  EXPECT_EQ(mended.exit_code, 0) << mended;
  std::vector<std::string> printed = lines(outcome.out + mended.out);
  std::ranges::sort(printed);
  EXPECT_THAT(printed, testing::ElementsAre("a", "b", "d"));
}

TEST_F(map_work, what_cannot_be_is_one_line_and_nothing_is_run) {
  folder.write("there", "precious\n");
  const std::vector<std::pair<Arguments, std::vector<std::string>>> mistakes{
      {{"-j", "0"}, {"--jobs", "'0'", "from 1"}},
      {{"--retries", "0"}, {"--retries", "'0'", "from 1"}},
      {{"--retries", "-1"}, {"--retries", "'-1'"}},
      {{"--halt", "soon"}, {"--halt soon", "now,fail=1"}},
      {{"--halt", "now,fail=0"}, {"--halt now,fail=0", "1 or more"}},
      {{"--halt", "soon,fail=101%"}, {"--halt soon,fail=101%", "100%"}},
      {{"--halt", "3"}, {"--halt 3", "never"}},
      {{"--halt", ""}, {"--halt", "empty"}},
      {{"--timeout", "-1"}, {"--timeout", "'-1'", "seconds"}},
      {{"--timeout", "0"}, {"--timeout", "above 0"}},
      {{"--timeout", "0%"}, {"--timeout", "'0%'", "5%"}},
      {{"--timeout", ""}, {"--timeout", "empty"}},
      {{"--delay", "x"}, {"--delay", "'x'"}},
      {{"--delay", "-1"}, {"--delay", "'-1'"}},
      {{"--grace", "nan"}, {"--grace", "'nan'"}},
      {{"--time-request", "5m"}, {"--time-request", "SLURM_JOB_ID", "leave it out"}},
      {{"-a", "nowhere"}, {"--arg-file", "'nowhere'"}},
      {{"-a", "."}, {"--arg-file", "'.'"}},
      {{"-a", ""}, {"--arg-file", "empty"}},
      {{"--output", "no/out"}, {"no/out", "there is no folder 'no'", "create it first"}},
      {{"--output", "."}, {"--output", "folder"}},
      {{"--output", ""}, {"--output", "empty"}},
      {{"--output", "there"}, {"there", "--force"}},
      {{"--journal", "no/journal"}, {"--journal", "'no'"}},
      {{"--journal", "there"}, {"'there'", "is there already", "--resume", "--force"}},
      {{"--journal", "there", "--resume"}, {"'there'", "not a journal"}},
      {{"--journal", "same", "--joblog", "./same"}, {"--joblog", "--journal", "of its own"}},
      {{"--joblog", "no/log"}, {"no/log", "'no'"}},
      {{"--results", "there"}, {"--results there", "Not a directory"}},
      {{"--resume"}, {"--resume", "--journal"}},
      {{"--resume-failed"}, {"--resume", "--journal"}},
      {{"--resume", "--force", "--journal", "j"}, {"--force", "--resume"}},
      {{"touch {+} ran"}, {"{+}", "no such placeholder"}},
      {{"touch ran \"${}\""}, {"${}"}},
  };
  for (const auto& [arguments, words] : mistakes) {
    SCOPED_TRACE(testing::PrintToString(arguments));
    const Outcome outcome = run_echelon(Arguments{"map"} + arguments + Arguments{"touch", "ran", ":::", "a"}, here());
    expect_one_line(outcome, 2, words);
    EXPECT_EQ(outcome.out, "");
    EXPECT_FALSE(fs::exists(path("ran")));
  }
  EXPECT_EQ(read("there"), "precious\n");
}

TEST_F(map_work, a_percentage_holds_of_what_comes_through_a_pipe) {
  const std::string options = " map --quiet -j 1 --halt soon,done=50% --joblog log 'exit {}'";
  const Outcome outcome =
      run_program({"sh", "-c", "cat input | " ECHELON_PROGRAM + options}, here("0\n0\n7\n0\n0\n0\n"));
  EXPECT_EQ(outcome.exit_code, 3) << outcome;
  EXPECT_EQ(ends("log"), (std::map<int, std::string>{{1, "0 0"}, {2, "0 0"}, {3, "7 0"}}));
}

// What is left is told from the number of all: the file was once read for it at each look of the master's.
TEST_F(map_work, a_file_of_inputs_is_read_twice_and_no_more) {
  constexpr std::uint64_t most_bytes = 64 << 20;  // of which MPI reads some
  RunningProgram program{echelon_command({"map", "--quiet", "-j", "1", "--halt", "soon,done=50",
                                          "test {} != 50 || { touch begun; until test -e go; do sleep 0.01; done; }"}),
                         here(numbers(600'000))};
  ASSERT_TRUE(wait_until([&] { return fs::exists(path("begun")); }));
  std::uint64_t read_bytes = 0;
  for (const Process& process : descendants(program.pid())) {
    if (variable_of(process.pid, "OMPI_COMM_WORLD_RANK") != "0") continue;
    std::ifstream counts{"/proc/" + std::to_string(process.pid) + "/io"};
    std::string name;
    std::uint64_t bytes = 0;
    if (counts >> name >> bytes) read_bytes = std::max(read_bytes, bytes);  // rchar
  }
  folder.write("go", "");
  EXPECT_EQ(program.wait().exit_code, 0);
  if (read_bytes == 0) GTEST_SKIP() << "this Linux does not count what processes read";
  EXPECT_LT(read_bytes, most_bytes);
}

TEST_F(map_work, results_are_printed_nowhere_else) {
  const Outcome outcome = map({"--results", "r", "echo {}; echo e >&2", ":::", "a"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.out + outcome.err, "");
  EXPECT_EQ(read("r/1/a/stdout") + read("r/1/a/stderr"), "a\ne\n");
  const Outcome both = map({"--results", "r", "--output", "out", "echo {}; echo e >&2", ":::", "a"});
  EXPECT_EQ(both.out, "");
  EXPECT_EQ(both.err, "e\n");
  EXPECT_EQ(read("out"), "a\n");
}

// ---- journals ----

TEST_F(map_work, a_journal_of_another_list_is_refused_with_the_difference) {
  const Arguments first{"--journal", "j", "echo", ":::"};
  ASSERT_EQ(map(first + Arguments{"1", "2"}).exit_code, 0);
  const Arguments again{"--journal", "j", "--resume", "echo", ":::"};
  expect_one_line(map(again + Arguments{"1", "x"}), 2, {"the list has changed", "task 2", "echo 2", "echo x"});
  expect_one_line(map(again + Arguments{"1"}), 2, {"the list has changed", "task 2", "echo 2"});
  expect_one_line(map({"--journal", "j", "--resume", "printf", ":::", "1", "2"}), 2, {"other work", "echo", "printf"});
  const Outcome same = map(again + Arguments{"1", "2"});
  EXPECT_EQ(same.exit_code, 0) << same;
  EXPECT_EQ(same.out, "");
  const Outcome by_content = map({"--journal", "j", "--by-content", "echo", ":::", "3", "2", "1"});
  EXPECT_EQ(by_content.exit_code, 0) << by_content;
  EXPECT_EQ(by_content.out, "3\n");
}

TEST_F(map_work, a_resume_without_a_journal_yet_runs_all) {
  const Outcome outcome = map({"-k", "--journal", "j", "--resume", "echo", ":::", "1", "2"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.out, "1\n2\n");
}

TEST_F(map_work, a_journal_in_use_is_refused_and_not_touched) {
  RunningProgram live{echelon_command({"map", "--quiet", "-j", "1", "--journal", "j",
                                       "touch begun; until test -e go; do sleep 0.01; done; echo"}),
                      here("1\n2\n")};
  ASSERT_TRUE(wait_until([&] { return fs::exists(path("begun")); }));
  for (const Arguments& how : {Arguments{}, Arguments{"--resume"}, Arguments{"--force"}}) {
    const Outcome refused = run_echelon(Arguments{"map"} + how + Arguments{"--journal", "j", "echo", ":::", "1", "2"},
                                        alone({.folder = path()}));
    expect_one_line(refused, 2, {"'j' is in use by process ", "another journal"});
  }
  folder.write("go", "");
  const Outcome outcome = live.wait();
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.out, "1\n2\n");
  EXPECT_THAT(run_echelon({"journal", "j"}, here()).out, HasSubstr("2 good, 0 failed"));
}

// ---- disks ----

/// A disk of its own, in memory.
class map_on_a_small_disk : public map_work {
 protected:
  void SetUp() override {
    fs::create_directory(path("disk"));
    mounted_ = mount("echelon_test", path("disk").c_str(), "tmpfs", 0, "size=32k") == 0;
    if (!mounted_) GTEST_SKIP() << "cannot mount a tmpfs here: " << std::strerror(errno) << "; root may";
  }
  void TearDown() override {
    if (mounted_) umount2(path("disk").c_str(), MNT_DETACH);
  }
  void make_larger() const { remount(0, "size=16m"); }
  void remount(unsigned long flags, const char* data) const {
    ASSERT_EQ(mount(nullptr, path("disk").c_str(), nullptr, MS_REMOUNT | flags, data), 0) << std::strerror(errno);
  }

 private:
  bool mounted_ = false;
};

TEST_F(map_on_a_small_disk, a_full_one_is_one_line_and_resume_loses_and_repeats_nothing) {
  constexpr int count = 400;
  const std::vector<Arguments> ways{
      {"--journal", "disk/journal", "--output", "out"},
      {"--journal", "journal", "--output", "disk/out"},
      {"--journal", "journal", "--joblog", "disk/log", "--output", "out"},
  };
  for (const Arguments& way : ways) {
    SCOPED_TRACE(testing::PrintToString(way));
    for (const char* const name : {"disk/journal", "disk/out", "disk/log", "journal", "out", "ran"}) {
      fs::remove(path(name));
    }
    remount(0, "size=32k");
    const std::string padding(100, '.');
    const Arguments command{"echo {} >>ran; echo {} " + padding};
    expect_one_line(map(way + command, numbers(count)), 4, {"disk/", "No space left on device"});
    const std::size_t first = lines(read("ran")).size();
    EXPECT_LT(first, count);
    make_larger();
    const Outcome second = map(Arguments{"--resume"} + way + command, numbers(count));
    EXPECT_EQ(second.exit_code, 0) << second;
    const bool output_there = fs::exists(path("disk/out"));
    std::string expected;
    for (int i = 1; i <= count; ++i) expected += std::to_string(i) + " " + padding + "\n";
    EXPECT_EQ(in_order(output_there ? "disk/out" : "out"), expected);
    if (fs::exists(path("disk/log"))) {
      EXPECT_EQ(ends("disk/log").size(), std::size_t{count});
    }
  }
}

TEST_F(map_on_a_small_disk, results_that_find_it_full_are_made_by_resume) {
  constexpr int count = 40;
  const Arguments map_there{"--journal", "journal", "--results", "disk/r", "echo"};
  expect_one_line(map(map_there, numbers(count)), 4, {"disk/r", "No space left on device"});
  for (const auto& entry : fs::recursive_directory_iterator{path("disk")}) {
    EXPECT_THAT(entry.path().filename().string(), testing::Not(HasSubstr(".part"))) << "is left over";
  }
  make_larger();
  const Outcome second = map(Arguments{"--resume"} + map_there, numbers(count));
  EXPECT_EQ(second.exit_code, 0) << second;
  for (int i = 1; i <= count; ++i) {
    const std::string name = "disk/r/1/" + std::to_string(i);
    EXPECT_EQ(read(name + "/stdout"), std::to_string(i) + "\n");
    EXPECT_EQ(read(name + "/seq"), std::to_string(i));
    EXPECT_TRUE(fs::exists(path(name + "/stderr")));
  }
}

TEST_F(map_on_a_small_disk, one_for_reading_only_is_said_before_anything_is_run) {
  ASSERT_EQ(map({"--journal", "disk/old", "echo", ":::", "1"}).exit_code, 0);
  const std::string before = read("disk/old");
  remount(MS_RDONLY, "size=32k");
  for (const Arguments& way :
       {Arguments{"--journal", "disk/new"}, Arguments{"--journal", "disk/old", "--resume"},
        Arguments{"--journal", "disk/old", "--force"}, Arguments{"--output", "disk/out", "--journal", "j"},
        Arguments{"--joblog", "disk/log", "--journal", "j"}, Arguments{"--results", "disk/r"}}) {
    SCOPED_TRACE(testing::PrintToString(way));
    expect_one_line(map(way + Arguments{"touch ran;", "echo", ":::", "1", "2"}), 2, {"disk/", "Read-only file system"});
    EXPECT_FALSE(fs::exists(path("ran")));
  }
  EXPECT_EQ(read("disk/old"), before);
}

// ---- signals ----

class map_and_signals : public map_work {
 protected:
  /// Two commands at a time, of which some wait for what the test does.
  [[nodiscard]] Arguments map_lines(const Arguments& options) const {
    return echelon_command(Arguments{"map", "--quiet", "-j", "2", "-k", "--output", "out"} + options);
  }
  [[nodiscard]] bool have_begun(const std::vector<std::string>& names) const {
    return wait_until(
        [&] { return std::ranges::all_of(names, [&](const auto& name) { return fs::exists(path(name)); }); });
  }
};

TEST_F(map_and_signals, a_second_one_ends_at_once_what_the_first_waits_for) {
  const std::string never = "trap '' TERM INT; touch begun$ECHELON_TASK; while :; do sleep 0.05; done\n";
  for (const int first : {SIGINT, SIGUSR1}) {
    for (const char* const name : {"out", "out.journal", "begun1", "begun2"}) fs::remove(path(name));
    RunningProgram program{map_lines({"--grace", "1h"}), here(never + never + never)};
    ASSERT_TRUE(have_begun({"begun1", "begun2"}));
    kill(program.pid(), first);
    ASSERT_TRUE(program.wait_for_error_text("a second signal ends them at once"));
    poll(nullptr, 0, 150);  // within 100 ms it is the same one, from another sender
    kill(program.pid(), SIGINT);
    const Outcome outcome = program.wait();
    EXPECT_EQ(outcome.exit_code, 75) << outcome;
    EXPECT_FALSE(fs::exists(path("begun3")));
  }
}

TEST_F(map_and_signals, commands_that_end_within_grace_count_and_others_are_run_again) {
  const std::string commands =
      "touch begun1; until test -e go; do sleep 0.01; done; echo 1\n"
      "test -e go && { touch begun2; echo 2; exit; }; touch begun2; exec sleep 1000\n"
      "echo 3\n";
  RunningProgram program{map_lines({"--grace", "3"}), here(commands)};
  ASSERT_TRUE(have_begun({"begun1", "begun2"}));
  kill(program.pid(), SIGUSR1);
  ASSERT_TRUE(program.wait_for_error_text("have 3 s to end"));
  folder.write("go", "");
  const Outcome stopped = program.wait();
  EXPECT_EQ(stopped.exit_code, 75) << stopped;
  EXPECT_EQ(read("out"), "1\n");
  for (const char* const name : {"begun1", "begun2"}) fs::remove(path(name));
  const Outcome resumed = run_program(map_lines({"--resume"}), here(commands));
  EXPECT_EQ(resumed.exit_code, 0) << resumed;
  EXPECT_EQ(read("out"), "1\n2\n3\n");
  EXPECT_FALSE(fs::exists(path("begun1"))) << "it had ended";
}

}  // namespace
}  // namespace echelon::test
