// Real processes: how they end, what they are given, and that nothing of them is left.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <echelon/study/process.hpp>

#include "support/run_program.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::study {
namespace {

using testing::HasSubstr;

class process : public testing::Test {
 protected:
  ~process() override { EXPECT_TRUE(test::descendants(getpid()).empty()); }

  Ending shell(const std::string& script, std::optional<double> most_s = std::nullopt) {
    CommandLine line{.argv = {"sh", "-c", script}, .folder = folder.path().string()};
    line.environment = {{"OMP_NUM_THREADS", "3"}, {"PATH", std::string{std::getenv("PATH")}}};
    return run(line, most_s);
  }
  Ending run(const CommandLine& line, std::optional<double> most_s = std::nullopt) {
    return run_process(line, path("out"), path("err"), most_s, signals);
  }
  std::string path(const std::string& name) const { return (folder.path() / name).string(); }
  std::string text_of(const std::string& name) const {
    std::ifstream in{path(name)};
    return {std::istreambuf_iterator<char>{in}, {}};
  }

  test::TemporaryFolder folder;
  StopSignals signals;
};

TEST_F(process, ends_with_its_status_output_and_time) {
  const Ending ending = shell("pwd; echo $OMP_NUM_THREADS; echo to errors >&2; sleep 0.2; cat; exit 7");
  EXPECT_EQ(ending.exit_code, 7);
  EXPECT_EQ(ending.signal, 0);
  EXPECT_FALSE(ending.stopped);
  EXPECT_EQ(text_of("out"), std::filesystem::canonical(folder.path()).string() + "\n3\n");
  EXPECT_EQ(text_of("err"), "to errors\n");
  EXPECT_GE(ending.launch_to_exit_s, 0.2);
  ASSERT_TRUE(ending.cpu_s);
  EXPECT_LT(*ending.cpu_s, ending.launch_to_exit_s);
}

TEST_F(process, cpu_time_is_that_of_all_its_processes) {
  const Ending ending = shell("i=0; (while [ $i -lt 100000 ]; do i=$((i+1)); done)");
  ASSERT_TRUE(ending.cpu_s);
  EXPECT_GT(*ending.cpu_s, 0.005);
}

TEST_F(process, signal_that_ends_it_is_told) { EXPECT_EQ(shell("kill -SEGV $$").signal, SIGSEGV); }

TEST_F(process, that_cannot_be_started_says_why) {
  const Ending ending = run({.argv = {"/nonexistent/program"}});
  EXPECT_THAT(ending.start_error, HasSubstr("cannot start '/nonexistent/program': No such file"));
  EXPECT_EQ(run({.argv = {"true"}, .folder = "/nonexistent"}).start_error,
            "cannot enter the folder '/nonexistent': No such file or directory");
}

TEST_F(process, leaves_nothing_behind) {
  EXPECT_EQ(shell("sleep 1000 & setsid sleep 1000 & (setsid sh -c 'sleep 1000 & sleep 1000' &); sleep 0.05").exit_code,
            0);
}

TEST_F(process, request_to_stop_ends_it_at_once) {
  const Ending ending = shell("(sleep 0.1; kill -TERM " + std::to_string(getpid()) + ") & sleep 1000");
  EXPECT_TRUE(ending.stopped);
  EXPECT_EQ(ending.signal, SIGTERM);
  EXPECT_LT(ending.launch_to_exit_s, 9) << "it needed no second signal";
  EXPECT_TRUE(signals.asked());
}

TEST_F(process, that_has_no_more_time_is_ended) {
  const Ending ending = shell("sleep 1000", 0.2);
  EXPECT_TRUE(ending.overran);
  EXPECT_FALSE(ending.stopped);
  EXPECT_EQ(ending.signal, SIGTERM);
  EXPECT_GE(ending.launch_to_exit_s, 0.2);
  EXPECT_FALSE(shell("true", 100).overran);
}

TEST_F(process, second_request_kills_what_does_not_listen) {
  const Ending ending = shell("trap '' TERM; for i in 1 2; do sleep 0.2; kill -INT " + std::to_string(getpid()) +
                              "; done; while :; do sleep 1; done");
  EXPECT_TRUE(ending.stopped);
  EXPECT_EQ(ending.signal, SIGKILL);
  EXPECT_LT(ending.launch_to_exit_s, 9);
}

TEST_F(process, request_before_it_is_kept) {
  kill(getpid(), SIGINT);
  EXPECT_TRUE(signals.asked());
}

}  // namespace
}  // namespace echelon::study
