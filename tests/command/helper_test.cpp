#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <echelon/base/files.hpp>
#include <echelon/command/helper.hpp>

#include "support/temporary_folder.hpp"

namespace echelon::command {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// Nothing here takes seconds, but on a machine that is busy with other tests.
constexpr auto long_enough = 60s;

std::vector<std::string> own_environment() {
  std::vector<std::string> all;
  for (char** variable = environ; *variable != nullptr; ++variable) all.emplace_back(*variable);
  return all;
}

class HelperTest : public testing::Test {
 protected:
  /// Runs one command and returns how it ended; what it has printed is in `output` and `errors`.
  Report run(const std::string& line, std::optional<std::chrono::nanoseconds> limit = std::nullopt) {
    start(line, limit);
    return wait();
  }
  void start(const std::string& line, std::optional<std::chrono::nanoseconds> limit = std::nullopt) {
    for (int* file : {&output_, &errors_}) {
      if (*file >= 0) close(*file);
      *file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
      ASSERT_GE(*file, 0);
    }
    helper.start(
        {.line = line, .environment = {"ECHELON_TASK=7"}, .output = output_, .errors = errors_, .limit = limit});
  }
  Report wait() {
    pollfd ready{helper.descriptor(), POLLIN, 0};
    EXPECT_EQ(poll(&ready, 1, static_cast<int>(std::chrono::milliseconds{long_enough}.count())), 1) << "it never ended";
    const auto report = helper.ended();
    EXPECT_TRUE(report.has_value());
    const bool in_files = report && report->is_in_files && report->write_error == 0;
    output = in_files ? text_of(output_) : helper.printed().output;
    errors = in_files ? text_of(errors_) : helper.printed().errors;
    return report.value_or(Report{});
  }
  static std::string text_of(int file) {
    struct stat status {};
    fstat(file, &status);
    std::string text(static_cast<std::size_t>(status.st_size), '\0');
    EXPECT_EQ(pread(file, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    return text;
  }

  Helper helper{own_environment()};
  std::string output;
  std::string errors;

 private:
  int output_ = -1;
  int errors_ = -1;
};

/// A process is gone, or a zombie that somebody else has not waited for.
bool is_gone(pid_t process) {
  std::ifstream stat{"/proc/" + std::to_string(process) + "/stat"};
  std::string line;
  if (!std::getline(stat, line)) return true;
  return line[line.rfind(')') + 2] == 'Z';
}

TEST_F(HelperTest, statuses_and_outputs_of_programs_and_shell_text) {
  EXPECT_EQ(run("/bin/echo 'a  b' c").exit_code, 0);
  EXPECT_EQ(output, "a  b c\n");
  EXPECT_EQ(run("echo out; echo err >&2; exit 9").exit_code, 9);
  EXPECT_EQ(output, "out\n");
  EXPECT_EQ(errors, "err\n");
  EXPECT_EQ(run("cat").exit_code, 0);  // standard input is empty
  EXPECT_EQ(output, "");
}

TEST_F(HelperTest, a_signal_is_a_signal) {
  for (const int signal : {SIGSEGV, SIGKILL, SIGTERM}) {
    const Report report = run("kill -" + std::to_string(signal) + " $$");
    EXPECT_EQ(report.signal, signal);
    EXPECT_EQ(report.exit_code, 0);
  }
  EXPECT_EQ(run("echo still here").exit_code, 0);
}

TEST_F(HelperTest, a_command_that_kills_its_process_group_kills_nobody_else) {
  EXPECT_EQ(run("kill -9 0").signal, SIGKILL);
  EXPECT_EQ(run("exit 3").exit_code, 3);
}

TEST_F(HelperTest, signals_are_as_for_any_program) {
  // Blocked or ignored ones would be inherited.
  EXPECT_EQ(run("grep -E 'Sig(Blk|Ign)' /proc/self/status").exit_code, 0);
  EXPECT_EQ(output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST_F(HelperTest, environment) { EXPECT_EQ(run("test \"$ECHELON_TASK\" = 7 && test -n \"$PATH\"").exit_code, 0); }

TEST_F(HelperTest, no_descriptor_but_the_standard_ones) {
  EXPECT_EQ(run("ls /proc/self/fd").exit_code, 0);
  EXPECT_EQ(output, "0\n1\n2\n3\n");  // the last is the folder that ls reads
}

TEST_F(HelperTest, what_cannot_be_run_says_so) {
  const Report missing = run("/no/such/program x");
  EXPECT_EQ(missing.exit_code, 127);
  EXPECT_EQ(missing.start_error, ENOENT);
  EXPECT_EQ(errors, "echelon: cannot run /no/such/program: No such file or directory\n");
  const Report unknown = run("no-such-program x");
  EXPECT_EQ(unknown.exit_code, 127);
  EXPECT_EQ(errors, "echelon: cannot run no-such-program: No such file or directory\n");
  EXPECT_EQ(run("/etc/passwd x").exit_code, 126);
  EXPECT_EQ(run("exit 5").exit_code, 5);
}

TEST_F(HelperTest, a_program_that_appears_later_is_found_and_one_that_goes_is_not) {
  const test::TemporaryFolder folder;
  const std::string program = (folder.path() / "tool").string();
  EXPECT_EQ(run(program).exit_code, 127);
  std::ofstream{program} << "echo script: $1\n";  // without a first line that says of what
  chmod(program.c_str(), 0755);
  EXPECT_EQ(run(program + " x").exit_code, 0);
  EXPECT_EQ(output, "script: x\n");
  unlink(program.c_str());
  EXPECT_EQ(run(program).exit_code, 127);
}

TEST_F(HelperTest, a_time_limit_ends_a_command_and_its_children) {
  const Report report = run("sleep 1000 & echo $!; wait", 100ms);
  EXPECT_TRUE(report.timed_out);
  EXPECT_EQ(report.signal, SIGTERM);
  EXPECT_GE(report.wall, 100ms);
  EXPECT_TRUE(is_gone(std::stoi(output)));
  EXPECT_FALSE(run("sleep 0.01", std::chrono::nanoseconds{long_enough}).timed_out);
}

TEST_F(HelperTest, a_command_that_ignores_TERM_is_killed) {
  const Report report = run("trap '' TERM; while :; do sleep 0.05; done", 100ms);
  EXPECT_TRUE(report.timed_out);
  EXPECT_EQ(report.signal, SIGKILL);
  EXPECT_GE(report.wall, 100ms + Helper::patience);
}

TEST_F(HelperTest, a_limit_can_be_set_while_the_command_runs) {
  start("sleep 1000");
  helper.set_limit(50ms);
  EXPECT_TRUE(wait().timed_out);
}

TEST_F(HelperTest, what_a_command_leaves_behind_is_ended) {
  for (const std::string how :
       {"sleep 1000", "setsid sleep 1000", "setsid sh -c 'trap \"\" TERM HUP; exec sleep 1000'"}) {
    const Report report = run(how + " & echo $!");
    EXPECT_EQ(report.exit_code, 0) << how;
    EXPECT_FALSE(report.timed_out);
    EXPECT_TRUE(is_gone(std::stoi(output))) << how;
  }
  // Who forks on and on is caught too.
  run("(setsid sh -c 'sleep 1000 & sleep 1000 & sh -c \"sleep 1000 & sleep 1000\"' &) ; sleep 0.05; ps -e -o pid,args "
      "| "
      "grep '[s]leep 1000' | awk '{print $1}'");
  std::istringstream pids{output};
  for (pid_t pid = 0; pids >> pid;) EXPECT_TRUE(is_gone(pid));
}

TEST_F(HelperTest, end_ends_the_running_command) {
  start("sleep 1000");
  helper.end();
  const Report report = wait();
  EXPECT_TRUE(report.ended_on_request);
  EXPECT_EQ(report.signal, SIGTERM);
  EXPECT_EQ(run("exit 4").exit_code, 4);
}

TEST_F(HelperTest, times_and_memory_are_the_command_s) {
  const Report sleeps = run("sleep 0.2");
  EXPECT_GE(sleeps.wall, 200ms);
  EXPECT_LT(sleeps.cpu, 150ms);
  const Report works = run("(i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done)");
  EXPECT_GT(works.cpu, 10ms);
  const Report large = run("x=$(head -c 60000000 /dev/zero | tr '\\0' a); echo ${#x}");
  EXPECT_EQ(output, "60000000\n");
  EXPECT_GT(large.max_rss_bytes, 60'000'000U);
  EXPECT_LT(sleeps.max_rss_bytes, 60'000'000U);
}

TEST_F(HelperTest, lines_of_a_mebibyte) {
  const std::string text(1 << 20, 'x');
  EXPECT_EQ(run("echo " + text).exit_code, 0);
  EXPECT_EQ(output, text + "\n");
  const Report too_long = run("/bin/echo " + text);  // longer than Linux takes for one argument
  EXPECT_EQ(too_long.exit_code, 126);
  EXPECT_EQ(too_long.start_error, E2BIG);
}

TEST_F(HelperTest, hundreds_of_commands) {
  for (int i = 0; i < 300; ++i) ASSERT_EQ(run("exit " + std::to_string(i % 256)).exit_code, i % 256);
}

/// What a command has written into a file, once there is a line in it.
std::string first_line_of(const std::filesystem::path& file) {
  std::string line;
  const auto limit = Clock::now() + long_enough;
  while (Clock::now() < limit) {
    std::ifstream in{file};
    if (std::getline(in, line) && !in.eof()) return line;
    poll(nullptr, 0, 5);
  }
  return "0";
}

TEST_F(HelperTest, a_helper_that_is_gone_is_noticed) {
  const test::TemporaryFolder folder;
  const std::string file = folder.path() / "pid";
  start("sleep 1000 & echo $! >" + file + "; wait");
  const pid_t sleeper = std::stoi(first_line_of(file));
  kill(helper.pid(), SIGKILL);
  EXPECT_THROW(wait(), std::runtime_error);
  EXPECT_TRUE(is_gone(sleeper));
}

TEST_F(HelperTest, a_command_that_kills_who_runs_it_fails_alone) {
  const test::TemporaryFolder folder;
  const std::string file = folder.path() / "pid";
  for (int i = 0; i < 3; ++i) {
    const Report report = run("setsid sleep 1000 & echo $! >" + file + "; kill -9 $PPID; sleep 1000");
    EXPECT_TRUE(report.runner_was_killed);
    EXPECT_EQ(report.signal, SIGKILL);
    EXPECT_TRUE(is_gone(std::stoi(first_line_of(file)))) << "it has outlived its command";
    EXPECT_EQ(run("echo next").exit_code, 0);
    EXPECT_EQ(output, "next\n");
  }
}

TEST_F(HelperTest, who_runs_commands_may_be_killed_while_there_are_none) {
  EXPECT_EQ(run("echo $PPID").exit_code, 0);
  const pid_t runner = std::stoi(output);
  kill(runner, SIGKILL);
  const auto limit = Clock::now() + long_enough;
  while (!is_gone(runner) && Clock::now() < limit) poll(nullptr, 0, 5);
  const Report report = run("echo next");
  EXPECT_TRUE(report.runner_was_killed || output == "next\n");
  EXPECT_EQ(run("echo next").exit_code, 0);
}

// ---- what commands print ----

TEST_F(HelperTest, much_goes_into_files_and_little_stays_in_memory) {
  for (const std::size_t size : {0U, 1U, 16384U, 16385U, 70'000U, 5'000'000U}) {
    SCOPED_TRACE(size);
    const std::string text = std::to_string(size);
    const Report report = run("head -c " + text + " /dev/zero | tr '\\0' x; echo why >&2; exit 3");
    EXPECT_EQ(report.exit_code, 3);
    EXPECT_EQ(report.write_error, 0);
    EXPECT_EQ(report.is_in_files, size + 4 > 16384);
    EXPECT_TRUE(output == std::string(size, 'x'));
    EXPECT_EQ(errors, "why\n");
    EXPECT_EQ(report.output_bytes, size);
    EXPECT_EQ(helper.printed().errors_end, "why\n");
  }
  EXPECT_EQ(run("head -c 3000000 /dev/zero | tr '\\0' y >&2; echo end >&2; echo out").exit_code, 0);
  EXPECT_TRUE(errors == std::string(3'000'000, 'y') + "end\n");
  EXPECT_EQ(output, "out\n");
  EXPECT_EQ(helper.printed().errors_end.size(), 4096U);
}

TEST_F(HelperTest, what_is_printed_by_many_at_once_is_whole) {
  EXPECT_EQ(
      run("for i in 1 2 3 4; do (j=0; while [ $j -lt 2000 ]; do echo $i $j; j=$((j+1)); done) & done; wait").exit_code,
      0);
  std::vector<int> next(5, 0);
  std::istringstream printed{output};
  for (int who = 0, number = 0; printed >> who >> number;) EXPECT_EQ(number, next[static_cast<std::size_t>(who)]++);
  EXPECT_EQ(next, (std::vector<int>{0, 2000, 2000, 2000, 2000}));
}

TEST_F(HelperTest, a_write_that_fails_is_told_whatever_the_command_makes_of_it) {
  // A file in memory that cannot grow is a full disk, for all users.
  const auto sealed = [] {
    const int file = memfd_create("full", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    (void)!ftruncate(file, 65536);
    fcntl(file, F_ADD_SEALS, F_SEAL_GROW);
    return file;
  };
  const std::string prints = "trap '' TERM PIPE; echo why >&2; head -c 1000000 /dev/zero; echo last words >&2; ";
  for (const std::string& line : std::vector<std::string>{
           prints + "exit 0", prints + "head -c 1000000 /dev/zero >&2; echo last words >&2; :",
           "trap 'echo last words >&2; exit 0' TERM; head -c 1000000 /dev/zero; sleep 1000 & wait"}) {
    SCOPED_TRACE(line);
    const base::Descriptor output_file{sealed()};
    const base::Descriptor errors_file{sealed()};
    helper.start({.line = line,
                  .environment = {},
                  .output = output_file.get(),
                  .errors = errors_file.get(),
                  .limit = std::nullopt});
    const Report report = wait();
    EXPECT_EQ(report.write_error, EPERM);
    EXPECT_THAT(helper.printed().errors_end, testing::EndsWith("last words\n"));
    EXPECT_EQ(helper.printed().output, "");
  }
  // Without files, as where none could be made, a little is kept all the same.
  helper.start({.line = "echo little", .environment = {}, .limit = std::nullopt});
  EXPECT_EQ(wait().write_error, 0);
  EXPECT_EQ(output, "little\n");
  helper.start({.line = "head -c 20000 /dev/zero", .environment = {}, .limit = std::nullopt});
  EXPECT_EQ(wait().write_error, EBADF);
}

TEST(helper, whoever_owns_it_may_die_and_nothing_is_left) {
  const test::TemporaryFolder folder;
  const std::string file = folder.path() / "pids";
  const pid_t owner = fork();
  if (owner == 0) {
    Helper helper{own_environment()};
    helper.start({.line = "setsid sleep 1000 & echo $$ $! >" + file + "; sleep 1000; :", .environment = {}});
    pause();
  }
  std::istringstream pids{first_line_of(file)};
  pid_t shell = 0;
  pid_t sleeper = 0;
  pids >> shell >> sleeper;
  ASSERT_GT(sleeper, 0);
  kill(owner, SIGKILL);
  waitpid(owner, nullptr, 0);
  const auto limit = Clock::now() + long_enough;
  while ((!is_gone(shell) || !is_gone(sleeper)) && Clock::now() < limit) poll(nullptr, 0, 5);
  EXPECT_TRUE(is_gone(shell));
  EXPECT_TRUE(is_gone(sleeper));
}

}  // namespace
}  // namespace echelon::command
