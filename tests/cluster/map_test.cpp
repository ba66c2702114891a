// Shell commands as tasks of jobs on several nodes.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cluster/cluster.hpp"

namespace echelon::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class cluster_map : public cluster {
 protected:
  [[nodiscard]] nlohmann::json record(const std::string& name = "record.json") const {
    return nlohmann::json::parse(contents(name), nullptr, false);
  }
};

/// On the eight CPUs that the job has, and the fewer of this machine.
TEST_F(cluster_map, of_twenty_thousand_tasks_over_32_ranks) {
  const JobOutcome outcome =
      outcome_of(submit(4, "seq 20000 | " ECHELON_PROGRAM " -n 32 map --json record.json --joblog log true\n"),
                 std::chrono::seconds{150});
  EXPECT_EQ(outcome.state, "COMPLETED") << outcome;
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("20000 tasks ended well, 0 failed"));
  const nlohmann::json run = record();
  ASSERT_TRUE(run.is_object());
  EXPECT_EQ(run["context"]["ranks"], 32);
  std::uint64_t tasks = 0;
  for (const auto& rank : run["ranks"]) tasks += rank["tasks"].get<std::uint64_t>();
  EXPECT_EQ(tasks, 20000U);
  std::set<int> logged;
  std::vector<std::string> log = lines(contents("log"));
  for (std::size_t i = 1; i < log.size(); ++i) EXPECT_TRUE(logged.insert(std::stoi(log[i])).second) << log[i];
  EXPECT_EQ(logged.size(), 20000U);
}

/// Two runs that differ in how long 31 ranks wait for one task.
TEST_F(cluster_map, waits_without_work_for_the_cpus) {
  constexpr int shorter_s = 1;
  constexpr int longer_s = 9;
  std::string body;
  for (const int wait_s : {shorter_s, longer_s}) {
    const std::string time = std::to_string(wait_s);
    body += ECHELON_PROGRAM " -n 32 map --quiet --json " + time + ".json sleep ::: " + time + " || exit\n";
  }
  const JobOutcome outcome = outcome_of(submit(4, body), std::chrono::seconds{150});
  EXPECT_EQ(outcome.state, "COMPLETED") << outcome;
  const auto cpu_s = [&](int wait_s) {
    double all_s = 0;
    const nlohmann::json run = record(std::to_string(wait_s) + ".json");
    for (const auto& rank : run["ranks"]) all_s += rank["cpu_s"].get<double>();
    return all_s;
  };
  const double share = (cpu_s(longer_s) - cpu_s(shorter_s)) / (32 * (longer_s - shorter_s));
  std::cout << "share of a CPU of a waiting rank: " << share << '\n';
  EXPECT_GT(share, 0);
  EXPECT_LT(share, 0.03);  // two free CPUs that all ranks spin on are 0.06
}

TEST_F(cluster_map, second_job_with_the_journal_of_one_that_runs_is_refused) {
  constexpr std::size_t tasks = 200;
  const std::string body = "seq " + std::to_string(tasks) +
                           " | " ECHELON_PROGRAM
                           " -n 4 map --journal journal --resume --output output "
                           "'sleep 0.1; echo {} >>ends; echo {}'\n";
  const auto ends = [&] { return lines(contents("ends")); };
  const std::string first = submit(4, body, {.ranks_a_node = 1});
  EXPECT_TRUE(wait_until([&] { return ends().size() >= tasks / 10; })) << "the tasks have not begun";
  const JobOutcome second = outcome_of(submit(4, body, {.ranks_a_node = 1, .name = "second"}));
  EXPECT_LT(ends().size(), tasks) << "the first was over before";
  EXPECT_EQ(second.exit_code, 2) << second;
  EXPECT_EQ(second.out, "");
  EXPECT_THAT(lines(second.err),
              ElementsAre(testing::MatchesRegex("echelon: 'journal' is in use by process [0-9]+ on n1; .*")));
  const JobOutcome outcome = outcome_of(first);
  EXPECT_EQ(outcome.state, "COMPLETED") << outcome;
  EXPECT_THAT(outcome.err, HasSubstr("200 tasks ended well, 0 failed"));
  std::vector<std::string> done = ends();
  std::vector<std::string> put_out = lines(contents("output"));
  EXPECT_EQ(done.size(), tasks);
  std::ranges::sort(done);
  std::ranges::sort(put_out);
  EXPECT_EQ(put_out, done);
  done.erase(std::unique(done.begin(), done.end()), done.end());
  EXPECT_EQ(done.size(), tasks);
}

}  // namespace
}  // namespace echelon::test
