// Ranks that die while they share something with others, under a real mpirun: nobody hangs, and it is told who died.
#include <csignal>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/marks.hpp"
#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Strings = std::set<std::string>;

constexpr int ranks = 4;
// A socket that closes tells of a death at once, and a master that fails waits a second for others; the rest is for
// machines that are loaded.
constexpr auto soon = 20s;

/// By the ranks of a node: 0, all of them; 1, each has one of its own.
class shared_losses : public testing::TestWithParam<int> {
 protected:
  ~shared_losses() override { expect_nothing_left(); }

  RunningProgram start(const std::string& what, int victim) const {
    RunOptions options = alone({.folder = folder_.path(), .limit = 60s});
    if (GetParam() > 0) options.environment["ECHELON_RANKS_A_NODE"] = std::to_string(GetParam());
    return {{ECHELON_LOSSES, "-n", std::to_string(ranks), what, std::to_string(victim)}, options};
  }
  Outcome run(const std::string& what, int victim = 2) const { return start(what, victim).wait(); }

  void make(const char* file) const { std::ofstream{folder_.path() / file}; }
  Strings heard() const {
    Strings all;
    std::ifstream in{folder_.path() / "heard"};
    for (std::string line; std::getline(in, line);) all.insert(line);
    return all;
  }

  /// Kills the victim at what it does, and waits for the end of the others.
  Outcome kill_at(const std::string& what, int victim) const {
    RunningProgram running = start(what, victim);
    EXPECT_TRUE(wait_until([&] { return std::filesystem::exists(folder_.path() / "begun"); }));
    pid_t pid = 0;
    EXPECT_TRUE(wait_until([&] {
      for (const Process& process : descendants(running.pid())) {
        if (variable_of(process.pid, "OMPI_COMM_WORLD_RANK") == std::to_string(victim)) pid = process.pid;
      }
      return pid != 0;
    }));
    if (pid == 0) return running.wait();
    EXPECT_EQ(kill(pid, SIGKILL), 0);
    EXPECT_TRUE(wait_until([&] {
      const auto process = look_at(pid);
      return !process || process->state == 'Z';
    }));
    make("killed");
    const auto since = std::chrono::steady_clock::now();
    Outcome outcome = running.wait();
    EXPECT_LT(std::chrono::steady_clock::now() - since, soon);
    return outcome;
  }
  /// All others have heard of it, the exit status says so, and one line on standard error does.
  void expect_told(const Outcome& outcome, int victim) const {
    EXPECT_EQ(outcome.exit_code, 4) << outcome;
    Strings expected;
    for (int rank = 0; rank < ranks; ++rank) {
      if (rank != victim) expected.insert("rank " + std::to_string(rank) + " lost rank " + std::to_string(victim));
    }
    EXPECT_THAT(heard(), testing::IsSupersetOf(expected)) << outcome;
    EXPECT_EQ(lines(outcome.err).size(), 1U) << outcome;
    EXPECT_THAT(outcome.err, testing::StartsWith("echelon: rank " + std::to_string(victim) + " on "));
  }

  TemporaryFolder folder_;
};

TEST_P(shared_losses, of_a_producer_are_told_to_its_consumers) { expect_told(kill_at("produce", 2), 2); }

TEST_P(shared_losses, of_a_consumer_are_told_to_its_producers) { expect_told(kill_at("consume", 2), 2); }

TEST_P(shared_losses, of_the_first_consumers_node_too) { expect_told(kill_at("produce", 1), 1); }

TEST_P(shared_losses, of_a_pipes_end_are_an_end_of_file) {
  expect_told(kill_at("send", 2), 2);
  if (GetParam() == 0) {
    EXPECT_TRUE(heard().contains("rank 1 received 20 to the end")) << testing::PrintToString(heard());
  } else {  // what had not left the other node is gone with it
    EXPECT_THAT(heard(), testing::Contains(testing::MatchesRegex("rank 1 received [0-9]+ to the end")));
  }
  EXPECT_TRUE(heard().contains("rank 1 cannot send"));
}

TEST_P(shared_losses, of_who_holds_a_lock_are_told_to_who_wants_it) {
  expect_told(kill_at("hold", 2), 2);
  for (const std::string& line : heard()) EXPECT_THAT(line, testing::Not(HasSubstr("has the lock")));
}

TEST_P(shared_losses, of_who_waits_for_a_lock_hold_up_nobody) { expect_told(kill_at("wait", 2), 2); }

TEST_P(shared_losses, of_a_rank_that_computes_are_told_to_who_waits_for_all) { expect_told(kill_at("compute", 3), 3); }

TEST_P(shared_losses, of_the_master_are_told_to_all) {
  for (const char* what : {"produce", "consume", "hold", "compute"}) {
    SCOPED_TRACE(what);
    for (const char* file : {"begun", "killed", "heard"}) std::filesystem::remove(folder_.path() / file);
    const Outcome outcome = kill_at(what, 0);
    EXPECT_EQ(outcome.exit_code, 4) << outcome;
    EXPECT_THAT(outcome.err, HasSubstr("rank 0"));
    EXPECT_THAT(heard(),
                testing::IsSupersetOf(Strings{"rank 1 lost rank 0", "rank 2 lost rank 0", "rank 3 lost rank 0"}))
        << outcome;
    if (HasFailure()) return;
  }
}

TEST_P(shared_losses, by_an_exception_are_told_with_its_reason) {
  for (const int victim : {0, 3}) {
    const Outcome outcome = run("throw_one", victim);
    EXPECT_EQ(outcome.exit_code, 4) << outcome;
    EXPECT_THAT(outcome.err, HasSubstr("broken on purpose"));
    EXPECT_EQ(lines(outcome.err).size(), 1U) << outcome;
  }
}

TEST_P(shared_losses, by_an_exception_of_all_are_told_in_one_line) {
  const Outcome outcome = run("throw_all");
  EXPECT_EQ(outcome.exit_code, 4) << outcome;
  EXPECT_THAT(lines(outcome.err), testing::ElementsAre(HasSubstr("broken on purpose")));
}

TEST_P(shared_losses, by_wrong_usage_are_the_users_to_mend) {
  for (const char* what : {"refuse_all", "refuse_one"}) {
    const Outcome outcome = run(what);
    EXPECT_EQ(outcome.exit_code, 2) << what << ": " << outcome;
    EXPECT_THAT(lines(outcome.err), testing::ElementsAre(HasSubstr("not like this"))) << what;
  }
}

TEST_P(shared_losses, of_none_end_without_a_word) {
  const Outcome outcome = run("do_well");
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(heard(), Strings{});
}

INSTANTIATE_TEST_SUITE_P(on_one_node, shared_losses, testing::Values(0));
INSTANTIATE_TEST_SUITE_P(apart, shared_losses, testing::Values(1));

}  // namespace
}  // namespace echelon::test
