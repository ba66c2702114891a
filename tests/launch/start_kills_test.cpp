// Runs of every kind whose processes are killed, or asked to end, while they start: each ends, says why in a line, and
// leaves nothing behind. ECHELON_START_KILLS is how many, ECHELON_HISTORY_SEED which ones.
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// The processes of a run, as far as there are any.
struct Parts {
  pid_t mpirun = 0;
  std::map<int, pid_t> ranks;
};

Parts parts_of(pid_t starter) {
  Parts parts{.mpirun = launcher_of(starter), .ranks = {}};
  for (const Process& process : descendants(starter)) {
    const auto rank = variable_of(process.pid, "OMPI_COMM_WORLD_RANK");
    if (rank && process.parent == parts.mpirun) parts.ranks[std::stoi(*rank)] = process.pid;
  }
  return parts;
}

class start_kills : public testing::Test {
 protected:
  ~start_kills() override { expect_nothing_left(); }

  int upto(int most) { return std::uniform_int_distribution<>{0, most}(random_); }

  std::vector<std::string> some_program() {
    const std::string ranks = std::to_string(2 + upto(3));
    const std::vector<std::vector<std::string>> programs{
        {ECHELON_PROGRAM, "-n", ranks, "pi", "--points", "1e12", "--quiet"},
        {ECHELON_PROGRAM, "-n", ranks, "map", "sleep 0.2; :", ":::", "1", "2", "3", "4"},
        {ECHELON_LOSSES, "-n", ranks, "300", "1000", "-1"},
        {ECHELON_PARALLEL, "-n", ranks}};
    return programs[static_cast<std::size_t>(upto(3))];
  }

  /// Whose Open MPI keeps what it has in a folder of the test's own, where it is looked for.
  RunOptions options() const {
    return alone({.environment = {{"TMPDIR", files_.path().string()}}, .folder = work_.path(), .limit = limit_});
  }
  void expect_no_files() const {
    EXPECT_TRUE(wait_until([] { return descendants(getpid()).empty(); }, limit_)) << "processes are left over";
    EXPECT_THAT(memory_left(), testing::IsEmpty());
    for (const auto& entry : std::filesystem::recursive_directory_iterator{files_.path()}) {
      EXPECT_THAT(entry.path().string(), testing::Not(testing::HasSubstr("/pid."))) << "Open MPI's files are left over";
    }
  }

  const std::uint64_t seed_ = number_of("ECHELON_HISTORY_SEED", 20261128);
  std::mt19937_64 random_{seed_};
  const std::chrono::seconds limit_{120};  // on a machine with much else to do
  TemporaryFolder work_;
  TemporaryFolder files_;
};

/// It was over, or far enough that others see who dies: then more may be said, and done.
bool had_started(const Outcome& outcome) {
  if (outcome.exit_code == 0 || outcome.exit_code == 3) return true;
  for (const char* words : {"unfinished task", "no rank is left", " was lost", "the master is lost", "it held no tasks",
                            "no worker is left", "workers are lost"}) {
    if (outcome.err.find(words) != std::string::npos) return true;
  }
  return false;
}

TEST_F(start_kills, start_that_loses_processes_ends_with_a_line) {
  const std::uint64_t count = number_of("ECHELON_START_KILLS", 6);
  for (std::uint64_t history = 0; history < count; ++history) {
    const auto command = some_program();
    RunningProgram running{command, options()};
    poll(nullptr, 0, upto(400));  // a random moment, not a condition
    Parts parts;
    (void)wait_until([&] {
      parts = parts_of(running.pid());
      return !parts.ranks.empty() || look_at(running.pid())->state == 'Z';
    });
    std::vector<pid_t> ranks;
    for (const auto& [rank, pid] : parts.ranks) ranks.push_back(pid);
    std::shuffle(ranks.begin(), ranks.end(), random_);
    std::vector<pid_t> victims;
    const int kind = upto(3);
    if (kind == 0 && parts.mpirun != 0) victims = {parts.mpirun};
    if (kind == 1 && parts.ranks.contains(0)) victims = {parts.ranks.at(0)};
    if (kind == 2 && !ranks.empty()) victims = {ranks.front()};
    if (kind == 3 && !ranks.empty())
      victims.assign(ranks.begin(), ranks.begin() + 1 + upto(static_cast<int>(ranks.size()) - 1));
    for (const pid_t victim : victims) kill(victim, SIGKILL);
    if (victims.empty()) kill(running.pid(), SIGTERM);  // it is over, or it would be
    const Outcome outcome = running.wait();
    SCOPED_TRACE("history " + std::to_string(history) + " of seed " + std::to_string(seed_) + ": " +
                 testing::PrintToString(command));
    if (!victims.empty() && !had_started(outcome)) {
      EXPECT_EQ(outcome.exit_code, 4) << outcome;
      EXPECT_THAT(outcome.err, testing::MatchesRegex("echelon: [^\n]*; the run is lost, start it again[^\n]*\n"));
    }
    expect_no_files();
  }
}

TEST_F(start_kills, run_that_is_ended_at_any_moment_leaves_nothing) {
  const std::uint64_t count = number_of("ECHELON_START_KILLS", 6);
  for (std::uint64_t history = 0; history < count; ++history) {
    const auto command = some_program();
    RunningProgram running{command, options()};
    poll(nullptr, 0, upto(600));  // a random moment, not a condition
    const Parts parts = parts_of(running.pid());
    const int signal = std::vector{SIGKILL, SIGINT, SIGTERM, SIGHUP}[static_cast<std::size_t>(upto(3))];
    const int whom = upto(2);
    if (whom == 0) kill(running.pid(), signal);
    if (whom == 1) kill(-running.pid(), signal);
    if (whom == 2) {
      kill(running.pid(), signal);
      if (parts.mpirun != 0) kill(parts.mpirun, signal);
      for (const auto& [rank, pid] : parts.ranks) kill(pid, signal);
    }
    const Outcome outcome = running.wait();
    SCOPED_TRACE("history " + std::to_string(history) + " of seed " + std::to_string(seed_) + ": " +
                 testing::PrintToString(command) + ", signal " + std::to_string(signal));
    expect_no_files();
  }
}

// As batch systems do that signal every process of a job.
TEST_F(start_kills, term_to_every_process_but_commands_stops_map_in_order) {
  for (int round = 0; round < 2; ++round) {
    std::vector<std::string> command{ECHELON_PROGRAM, "-n", "3", "map", "touch begun; sleep 0.3; :", ":::"};
    for (int i = 0; i < 60; ++i) command.push_back(std::to_string(i));
    std::filesystem::remove(work_.path() / "begun");
    RunningProgram running{command, options()};
    ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(work_.path() / "begun"); }, limit_));
    const Parts parts = parts_of(running.pid());
    ASSERT_EQ(parts.ranks.size(), 3U);
    std::vector<pid_t> all{running.pid(), parts.mpirun};
    for (const auto& [rank, pid] : parts.ranks) all.push_back(pid);
    if (round == 1) std::reverse(all.begin(), all.end());
    for (const pid_t process : all) kill(process, SIGTERM);
    const Outcome outcome = running.wait();
    EXPECT_EQ(outcome.exit_code, 75) << outcome;
    EXPECT_THAT(outcome.err, testing::HasSubstr("tasks ended well, 0 failed"));
  }
}

}  // namespace
}  // namespace echelon::test
