#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <echelon/base/launcher_variables.hpp>

#include "support/run_program.hpp"
#include "support/temporary_folder.hpp"

// ECHELON_PROBE, a starter of its own ranks (probe.cpp), comes from the test's DEFINES.

namespace echelon::test {
namespace {

/// Runs that stop by themselves: with the line between rank 0 and its starter, and without ("far").
class stopping : public testing::TestWithParam<bool> {
 protected:
  ~stopping() override {
    EXPECT_TRUE(wait_until([] { return descendants(getpid()).empty(); })) << "processes were left over";
    for (const Process& process : descendants(getpid())) kill(process.pid, SIGKILL);
  }

  static bool far() { return GetParam(); }

  static std::vector<std::string> command(const std::vector<std::string>& mode) {
    std::vector<std::string> words{ECHELON_PROBE, "2"};
    words.insert(words.end(), mode.begin(), mode.end());
    return words;
  }

  static RunOptions options(const std::string& input_file = {}) {
    RunOptions options{.input_file = input_file, .limit = std::chrono::seconds{60}};
    for (const char* name : {"OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "ECHELON_LAUNCHED"}) {
      options.environment[name] = std::nullopt;
    }
    options.environment["PROBE_STOPS_BY_ITSELF"] = "1";
    if (!input_file.empty()) options.environment["PROBE_READS_INPUT"] = "1";
    if (far()) options.environment["PROBE_FAR"] = "1";
    return options;
  }

  static Outcome run(const std::vector<std::string>& mode, const std::string& input_file = {}) {
    return run_program(command(mode), options(input_file));
  }

  /// Sends `signal` until the text is there: of two that follow each other at once the second does not count.
  static bool insist(RunningProgram& program, int signal, const std::string& text) {
    for (int tries = 0; tries < 100; ++tries) {
      kill(program.pid(), signal);
      if (program.wait_for_error_text(text, std::chrono::milliseconds{300})) return true;
    }
    return false;
  }
};

INSTANTIATE_TEST_SUITE_P(, stopping, testing::Bool(), [](const auto& tested) { return tested.param ? "far" : "here"; });

TEST_P(stopping, starter_is_where_it_is) { EXPECT_EQ(run({"where"}).out, far() ? "far\n" : "here\n"); }

TEST_P(stopping, users_own_variables_are_announced_without_ours) {
  RunOptions changed = options();
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string name{*entry, std::string_view{*entry}.find('=')};
    if (base::is_of_launchers(name)) changed.environment[name] = std::nullopt;
  }
  changed.environment["OMPI_MCA_no_such"] = "a=b";
  changed.environment["OMP_WAIT_POLICY"] = "passive";
  const Outcome outcome = run_program(command({"user-variables"}), changed);
  EXPECT_THAT(outcome.out, testing::AnyOf("OMPI_MCA_no_such=OMP_WAIT_POLICY", "OMP_WAIT_POLICY=OMPI_MCA_no_such"));
}

TEST_P(stopping, rank_0_takes_its_time_after_a_signal) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2}) {
    RunningProgram starter{command({"stop-late", signal == SIGTERM ? "7" : "0"}), options()};
    ASSERT_TRUE(starter.wait_for_error_text("ready\n"));
    EXPECT_EQ(kill(starter.pid(), signal), 0);
    const Outcome outcome = starter.wait();
    EXPECT_EQ(outcome.exit_code, 75) << outcome;
    EXPECT_EQ(outcome.err, "ready\nasked to stop\nrequests: 1\n");
  }
}

TEST_P(stopping, signal_before_rank_0_is_ready_is_kept) {
  RunningProgram starter{command({"stop-late", "0"}), options()};
  // It has its signals in hand once it has started mpirun.
  ASSERT_TRUE(wait_until([&] { return !descendants(starter.pid()).empty(); }));
  EXPECT_EQ(kill(starter.pid(), SIGTERM), 0);
  const Outcome outcome = starter.wait();
  EXPECT_EQ(outcome.exit_code, 75) << outcome;
}

TEST_P(stopping, several_of_what_schedulers_send_are_one_request) {
  RunningProgram starter{command({"stop-late", "1"}), options()};
  ASSERT_TRUE(starter.wait_for_error_text("ready\n"));
  EXPECT_EQ(kill(starter.pid(), SIGHUP), 0);
  ASSERT_TRUE(starter.wait_for_error_text("asked to stop\n"));
  for (const int signal : {SIGHUP, SIGUSR1, SIGHUP, SIGUSR1}) kill(starter.pid(), signal);
  const Outcome outcome = starter.wait();
  EXPECT_EQ(outcome.exit_code, 75) << outcome;
  EXPECT_EQ(outcome.err, "ready\nasked to stop\nrequests: 1\n");
}

TEST_P(stopping, second_signal_asks_to_end_at_once) {
  RunningProgram starter{command({"stop-at-second"}), options()};
  ASSERT_TRUE(starter.wait_for_error_text("ready\n"));
  EXPECT_EQ(kill(starter.pid(), SIGUSR1), 0);
  ASSERT_TRUE(starter.wait_for_error_text("asked to stop\n"));
  EXPECT_TRUE(insist(starter, SIGINT, "asked to end\n"));
  const Outcome outcome = starter.wait();
  EXPECT_EQ(outcome.exit_code, 75) << outcome;
}

TEST_P(stopping, second_signal_ends_a_run_without_an_outcome) {
  RunningProgram starter{command({"ignore-second"}), options()};
  ASSERT_TRUE(starter.wait_for_error_text("ready\n"));
  EXPECT_EQ(kill(starter.pid(), SIGINT), 0);
  ASSERT_TRUE(starter.wait_for_error_text("asked to stop\n"));
  EXPECT_TRUE(insist(starter, SIGTERM, "asked to end\n"));
  const Outcome outcome = starter.wait();
  EXPECT_EQ(outcome.signal, SIGTERM) << outcome;
  EXPECT_EQ(outcome.err, "ready\nasked to stop\nasked to end\n");
}

TEST_P(stopping, killed_starter_takes_its_ranks_with_it) {
  RunningProgram starter{command({"stop-late", "0"}), options()};
  ASSERT_TRUE(starter.wait_for_error_text("ready\n"));
  EXPECT_EQ(kill(starter.pid(), SIGKILL), 0);
  EXPECT_EQ(starter.wait().signal, SIGKILL);
  EXPECT_TRUE(wait_until([] { return descendants(getpid()).empty(); }));
}

TEST_P(stopping, lost_master_ends_the_run_with_a_line) {
  const Outcome outcome = run({"lose-master"});
  EXPECT_EQ(outcome.exit_code, 4) << outcome;
  EXPECT_EQ(outcome.err,
            "echelon: the master (rank 0) was killed by signal 9 (Killed); the run is lost, start it again\n");
}

/// Checks that what rank 0 has read is the file.
void expect_sum_of(const std::filesystem::path& file, const std::string& said) {
  std::uint64_t size = 0;
  std::uint64_t sum = 0;
  std::uint64_t sums = 0;
  std::ifstream in{file, std::ios::binary};
  std::vector<char> block(1'000'000);
  while (in.read(block.data(), static_cast<std::streamsize>(block.size())), in.gcount() > 0) {
    size += static_cast<std::uint64_t>(in.gcount());
    for (std::streamsize i = 0; i < in.gcount(); ++i) sums += sum += static_cast<unsigned char>(block[i]);
  }
  EXPECT_EQ(said, fmt::format("{} {} {}\n", size, sum, sums));
}

TEST_P(stopping, input_comes_whole) {
  TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "input";
  {
    std::ofstream out{file, std::ios::binary};
    for (std::uint32_t i = 0; i < 5'000'000; ++i) {
      const std::uint32_t mixed = i * 2'654'435'761U;
      out.write(reinterpret_cast<const char*>(&mixed), sizeof(mixed));
    }
  }
  const Outcome outcome = run({"sum"}, file);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  expect_sum_of(file, outcome.out);
}

TEST_P(stopping, input_that_is_none_is_at_its_end) {
  EXPECT_EQ(run({"sum"}, "/dev/null").out, "0 0 0\n");
  EXPECT_EQ(run({"sum"}, "/").out, "0 0 0\n");
  EXPECT_EQ(run({"sum"}).out, "0 0 0\n");  // where nothing is to be read
}

TEST_P(stopping, endless_input_does_not_keep_the_run) {
  const Outcome outcome = run({"read-once"}, "/dev/zero");
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.out, std::string(5, '\0') + "\n");
}

TEST_P(stopping, input_that_nobody_reads_does_not_keep_the_run) { EXPECT_EQ(run({"where"}, "/dev/zero").exit_code, 0); }

/// Input that the test writes.
class FedInput {
 public:
  FedInput() { EXPECT_EQ(mkfifo(path().c_str(), 0600), 0); }
  ~FedInput() { end(); }
  FedInput(const FedInput&) = delete;
  FedInput& operator=(const FedInput&) = delete;

  [[nodiscard]] std::string path() const { return folder_.path() / "input"; }
  void feed(const std::string& text) {
    if (descriptor_ < 0) descriptor_ = open(path().c_str(), O_WRONLY | O_CLOEXEC);  // once it is read
    EXPECT_EQ(write(descriptor_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void end() {
    if (descriptor_ >= 0) close(descriptor_);
    descriptor_ = -1;
  }

 private:
  TemporaryFolder folder_;
  int descriptor_ = -1;
};

TEST_P(stopping, each_line_comes_as_it_is_written) {
  FedInput input;
  RunningProgram starter{command({"echo"}), options(input.path())};
  for (int i = 0; i < 20; ++i) {
    const std::string line = fmt::format("line {} of many\n", i);
    input.feed(line);
    ASSERT_TRUE(starter.wait_for_error_text(line));  // while the input is open
  }
  input.end();
  EXPECT_EQ(starter.wait().exit_code, 0);
}

TEST_P(stopping, input_that_stays_open_does_not_keep_the_run) {
  FedInput input;
  RunningProgram starter{command({"read-once"}), options(input.path())};
  input.feed("1234567");
  const Outcome outcome = starter.wait();
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.out, "12345\n");
}

TEST_P(stopping, output_comes_whole) {
  TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "output";
  std::ofstream{file}.close();
  RunOptions to_file = options();
  to_file.output_file = file;
  const Outcome outcome = run_program(command({"pour", "100"}), to_file);
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  ASSERT_EQ(std::filesystem::file_size(file), 100'000'000U);
  std::string expected(1'000'000, '\0');
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = static_cast<char>(i * i >> 5U);
  std::ifstream in{file, std::ios::binary};
  std::string block(expected.size(), '\0');
  for (int i = 0; i < 100; ++i) {
    in.read(block.data(), static_cast<std::streamsize>(block.size()));
    ASSERT_TRUE(block == expected) << "MB " << i;
  }
}

TEST_P(stopping, output_that_nobody_reads_is_a_quiet_stop) {
  std::vector<std::string> words{"sh", "-c", R"({ "$@"; echo "status $?" >&2; } | head -c 3)", "sh"};
  const std::vector<std::string> probe = command({"pour-for-ever"});
  words.insert(words.end(), probe.begin(), probe.end());
  const Outcome outcome = run_program(words, options());
  EXPECT_EQ(outcome.out, "xxx");
  EXPECT_EQ(outcome.err, far() ? "asked to stop\nstatus 75\n" : "nobody reads\nstatus 75\n");
}

TEST_P(stopping, errors_come_byte_for_byte) {
  if (far()) return;  // through mpirun they do not
  const Outcome outcome = run({"print-errors"});
  const std::string dashes(74, '-');
  const std::string said = dashes + "\nprocess rank 1 with PID 7 on node a exited on signal 9 (Killed)\n" + dashes +
                           "\n[a:1] 2 more processes have sent help message help.txt\n[a:1] no end of line";
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.err, testing::AnyOf(said + "from the rank\n", "from the rank\n" + said));
}

/// A terminal whose keys are a FedInput; what is shown there is standard error here.
std::vector<std::string> on_terminal(const std::vector<std::string>& command) {
  std::string line = "exec";
  for (const std::string& word : command) line += " '" + word + "'";
  return {"sh", "-c", "exec script -qec \"$1\" /dev/null >&2", "sh", line};
}

TEST_P(stopping, key_of_a_terminal_reaches_rank_0_alone) {
  FedInput keys;
  RunningProgram terminal{on_terminal(command({"stop-late", "7"})), options(keys.path())};
  keys.feed("some text\n");
  ASSERT_TRUE(terminal.wait_for_error_text("ready\r\n"));
  keys.feed("\x03");
  const Outcome outcome = terminal.wait();
  EXPECT_EQ(outcome.exit_code, 75) << outcome;
  EXPECT_THAT(outcome.err, testing::HasSubstr("asked to stop\r\nrequests: 1\r\n"));
}

TEST_P(stopping, terminal_is_read_by_the_line) {
  FedInput keys;
  RunningProgram terminal{on_terminal(command({"echo"})), options(keys.path())};
  keys.feed("\n");
  ASSERT_TRUE(terminal.wait_for_error_text("ready\r\n"));
  keys.feed("stty\x7f\x7f\x7f\x7fhallo\n");
  ASSERT_TRUE(terminal.wait_for_error_text("\nhallo\r\n"));
  keys.feed("\x04");
  const Outcome outcome = terminal.wait();
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
}

}  // namespace
}  // namespace echelon::test
