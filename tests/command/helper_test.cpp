#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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
    output = text_of(output_);
    errors = text_of(errors_);
    return report.value_or(Report{});
  }
  std::string printed() const { return text_of(output_); }
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

TEST_F(HelperTest, a_helper_that_is_gone_is_noticed) {
  start("sleep 1000 & echo $!; wait");
  const auto limit = Clock::now() + long_enough;
  while (printed().find('\n') == std::string::npos && Clock::now() < limit) poll(nullptr, 0, 5);
  const pid_t sleeper = std::stoi(printed());
  kill(helper.pid(), SIGKILL);
  EXPECT_THROW(wait(), std::runtime_error);
  EXPECT_TRUE(is_gone(sleeper));
}

TEST(helper, whoever_owns_it_may_die_and_nothing_is_left) {
  std::array<int, 2> pipe_ends{};
  ASSERT_EQ(pipe(pipe_ends.data()), 0);
  const pid_t owner = fork();
  if (owner == 0) {
    Helper helper{own_environment()};
    helper.start({.line = "setsid sleep 1000 & echo $$ $!; sleep 1000; :",
                  .environment = {},
                  .output = pipe_ends[1],
                  .errors = pipe_ends[1]});
    pause();
  }
  close(pipe_ends[1]);
  std::string said;
  for (char c = 0; said.find('\n') == std::string::npos && read(pipe_ends[0], &c, 1) == 1;) said += c;
  std::istringstream pids{said};
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
