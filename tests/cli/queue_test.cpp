#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/record_of.hpp"
#include "support/run_echelon.hpp"

namespace echelon::test {
namespace {

using nlohmann::json;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::MatchesRegex;

TEST(queue, table_has_the_checks_the_speed_and_a_line_a_rank_with_its_role) {
  const Outcome outcome = run_echelon({"-n", "3", "queue", "--items", "10000", "--producers", "2", "--capacity", "16"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  expect_only_notes(outcome);
  const std::vector<std::string> table = lines(outcome.out);
  ASSERT_EQ(table.size(), 7U) << outcome.out;
  EXPECT_EQ(table[0], "each item once: yes   whole: yes   in its producer's order: yes");
  EXPECT_THAT(table[1], MatchesRegex("10000 items of 8 bytes in [0-9.]+ s, [0-9.e]+ items/s, [0-9.e]+ bytes/s   "
                                     "2 producers, 1 consumer, capacity 16"));
  EXPECT_THAT(table[3], MatchesRegex("rank  host +cpus +role +items +communicate s +wait s +cpu % +items/s"));
  EXPECT_THAT(table[4], ContainsRegex("^   0  .* producer +5000 "));
  EXPECT_THAT(table[5], ContainsRegex("^   1  .* producer +5000 "));
  EXPECT_THAT(table[6], ContainsRegex("^   2  .* consumer +10000 "));
}

TEST(queue, record_has_what_was_put_and_what_was_taken) {
  for (const char* bytes : {"8", "1000"}) {
    const json record =
        record_of({"-n", "4", "queue", "--items", "20000", "--bytes", bytes, "--repeat", "2", "--capacity", "64"});
    ASSERT_TRUE(record.is_object());
    EXPECT_EQ(record["command"], "queue");
    EXPECT_EQ(record["parameters"]["producers"], 2);
    EXPECT_EQ(record["parameters"]["bytes"], std::stoul(bytes));
    EXPECT_EQ(record["result"]["items_put"], 40'000);
    EXPECT_EQ(record["result"]["items_taken"], 40'000);
    EXPECT_EQ(record["result"]["checksum_put"], record["result"]["checksum_taken"]);
    EXPECT_EQ(record["repetitions_s"].size(), 2U);
    ASSERT_EQ(record["ranks"].size(), 4U);
    std::uint64_t taken = 0;
    for (const json& rank : record["ranks"]) {
      if (rank["role"] == "consumer") taken += rank["items"].get<std::uint64_t>();
    }
    EXPECT_EQ(taken, 40'000U);
  }
}

TEST(queue, quiet_prints_items_a_second_only) {
  const Outcome outcome = run_echelon({"-n", "2", "queue", "--items", "1000", "--quiet"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.out, MatchesRegex("[1-9][0-9]+\n"));
  EXPECT_EQ(outcome.err, "");
}

TEST(queue, csv_has_a_line_a_rank) {
  const Outcome outcome = run_echelon({"-n", "2", "queue", "--items", "1000", "--csv", "-"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(lines(outcome.out).size(), 3U) << outcome;
}

TEST(queue, works_where_each_rank_has_a_node_of_its_own) {
  const json record = record_of({"-n", "4", "queue", "--items", "20000", "--bytes", "100"},
                                {.environment = {{"ECHELON_RANKS_A_NODE", "1"}}});
  ASSERT_TRUE(record.is_object());
  EXPECT_EQ(record["result"]["items_taken"], 20'000);
}

TEST(queue, without_consumers_is_refused_before_anything_is_started) {
  const RunOptions no_mpirun{.environment = {{"PATH", "/proc/nonexistent"}}};
  expect_refused(run_echelon({"queue"}, no_mpirun), {"queue: one rank", "echelon -n 2 queue"});
  expect_refused(run_echelon({"-n", "1", "queue"}, no_mpirun), {"queue: one rank"});
  for (const char* producers : {"3", "4", "1000"}) {
    expect_refused(run_echelon({"-n", "3", "queue", "--producers", producers}, no_mpirun),
                   {"--producers", std::string{producers} + " of 3 ranks", "give at most 2"});
  }
}

TEST(queue, without_consumers_under_mpirun_is_said_once) {
  for (const auto& [ranks, arguments, words] : {std::tuple{1, Arguments{"queue"}, "queue: one rank"},
                                                {3, {"queue", "--producers", "3"}, "--producers: 3 of 3 ranks"}}) {
    const Outcome outcome = run_mpirun(ranks, arguments);
    EXPECT_EQ(outcome.exit_code, 2) << outcome;
    EXPECT_EQ(outcome.out, "");
    std::size_t own = 0;
    for (const std::string& line : lines(outcome.err)) own += line.starts_with("echelon: ") ? 1 : 0;
    EXPECT_EQ(own, 1U) << outcome;
    EXPECT_THAT(outcome.err, HasSubstr(words));
  }
}

TEST(queue, lost_rank_ends_the_run_with_one_line) {
  for (const int lost : {0, 1}) {
    RunningProgram echelon{echelon_command({"-n", "2", "queue", "--items", "1e11"}), alone()};
    EXPECT_TRUE(wait_until([&] { return ranks_at_work(echelon.pid()).size() == 2; })) << "the ranks have not begun";
    EXPECT_EQ(kill(ranks_at_work(echelon.pid())[lost], SIGKILL), 0);
    const Outcome outcome = echelon.wait();
    EXPECT_EQ(outcome.exit_code, 4) << outcome;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, MatchesRegex("echelon: rank " + std::to_string(lost) + " on [^\n]+ killed [^\n]+\n"));
    expect_nothing_left();
  }
}

TEST(queue, lost_rank_is_told_once_where_the_launcher_lets_the_others_live) {
  Arguments mpirun = mpirun_command(2, {"queue", "--items", "1e11"});
  mpirun.insert(mpirun.begin() + 1, "--enable-recovery");
  RunningProgram echelon{mpirun, as_root_too()};
  EXPECT_TRUE(wait_until([&] { return ranks_at_work(echelon.pid()).size() == 2; })) << "the ranks have not begun";
  EXPECT_EQ(kill(ranks_at_work(echelon.pid())[1], SIGKILL), 0);
  const Outcome outcome = echelon.wait();
  std::vector<std::string> own = lines(outcome.err);
  std::erase_if(own, [](const std::string& line) { return !line.starts_with("echelon: "); });
  EXPECT_THAT(own, testing::ElementsAre(MatchesRegex("echelon: rank 0 on .+: rank 1 on .+ was lost: .+"))) << outcome;
  expect_nothing_left();
}

}  // namespace
}  // namespace echelon::test
