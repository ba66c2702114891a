#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

constexpr int ranks = 3;

/// Ranks in the middle of work that takes minutes, so whatever ends them is not its end.
class loss : public testing::Test {
 protected:
  loss() {
    EXPECT_TRUE(wait_until([&] { return ranks_at_work().size() == ranks; })) << "the ranks have not begun";
  }

  ~loss() override { expect_nothing_left(); }

  std::map<int, pid_t> ranks_at_work() const { return test::ranks_at_work(echelon_.pid()); }

  static std::vector<std::string> own_lines(const Outcome& outcome) {
    std::vector<std::string> own = lines(outcome.err);
    std::erase_if(own, [](const std::string& line) { return !line.starts_with("echelon: "); });
    return own;
  }

  TemporaryFolder folder_;
  RunningProgram echelon_{echelon_command({"-n", std::to_string(ranks), "pi", "--points", "1e12", "--kernel", "direct",
                                           "--json", "run.json"}),
                          alone({.folder = folder_.path(), .limit = std::chrono::seconds{30}})};
};

class loss_of_rank : public loss, public testing::WithParamInterface<int> {};

TEST_P(loss_of_rank, ends_the_run_with_one_line_that_names_rank_host_and_signal) {
  const std::map<int, pid_t> pids = ranks_at_work();
  ASSERT_TRUE(pids.contains(GetParam()));
  EXPECT_EQ(kill(pids.at(GetParam()), SIGKILL), 0);
  const Outcome outcome = echelon_.wait();
  EXPECT_EQ(outcome.exit_code, 4) << outcome;
  EXPECT_EQ(outcome.out, "");
  ASSERT_EQ(lines(outcome.err).size(), 1U) << outcome;
  EXPECT_THAT(outcome.err, testing::MatchesRegex("echelon: rank " + std::to_string(GetParam()) +
                                                 " on [^ ]+ was killed by signal 9 \\(Killed\\); .*\n"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path())) << "a record of a run that was lost";
}

INSTANTIATE_TEST_SUITE_P(each, loss_of_rank, testing::Range(0, ranks));

TEST_F(loss, killed_mpirun_ends_the_run_with_a_line) {
  EXPECT_EQ(kill(launcher_of(echelon_.pid()), SIGKILL), 0);
  const Outcome outcome = echelon_.wait();
  EXPECT_EQ(outcome.exit_code, 4) << outcome;
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(own_lines(outcome), testing::ElementsAre(testing::HasSubstr("mpirun was killed by signal 9"))) << outcome;
}

class loss_by_signal : public loss, public testing::WithParamInterface<int> {};

TEST_P(loss_by_signal, to_echelon_ends_everything_and_echelon_by_it) {
  EXPECT_EQ(kill(echelon_.pid(), GetParam()), 0);
  const Outcome outcome = echelon_.wait();
  EXPECT_EQ(outcome.signal, GetParam()) << outcome;
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(own_lines(outcome), testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(each, loss_by_signal, testing::Values(SIGINT, SIGTERM, SIGHUP));

TEST_F(loss, killed_starter_takes_its_ranks_with_it) {
  const std::map<int, pid_t> pids = ranks_at_work();
  EXPECT_EQ(kill(echelon_.pid(), SIGKILL), 0);
  const Outcome outcome = echelon_.wait();
  EXPECT_EQ(outcome.signal, SIGKILL) << outcome;
  for (const auto& [rank, pid] : pids) {
    EXPECT_TRUE(wait_until([pid = pid] {
      const auto process = look_at(pid);
      return !process || process->state == 'Z';
    })) << "rank "
        << rank << " goes on";
  }
  // Its own folder in /dev/shm it cannot take away: the next start does.
  EXPECT_EQ(run_echelon({"-n", "1", "info", "--quiet"}).exit_code, 0);
}

}  // namespace
}  // namespace echelon::test
