#include <chrono>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/record_of.hpp"
#include "support/run_echelon.hpp"

namespace echelon::test {
namespace {

using nlohmann::json;
using testing::MatchesRegex;

TEST(counter, table_has_the_counter_the_speed_and_a_line_a_rank) {
  const Outcome outcome = run_echelon({"-n", "2", "counter", "--increments", "1000", "--lock", "--repeat", "3"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  expect_only_notes(outcome);
  const std::vector<std::string> table = lines(outcome.out);
  ASSERT_EQ(table.size(), 7U) << outcome.out;
  EXPECT_EQ(table[0], "counter = 2000   expected 2000");
  EXPECT_THAT(table[1], MatchesRegex("2000 increments in [0-9.]+ s, [0-9.e]+ increments/s   lock, 2 ranks"));
  EXPECT_THAT(table[2], MatchesRegex("median of 3 repetitions, .*"));
  EXPECT_THAT(table[4], MatchesRegex("rank  host +cpus +increments +communicate s +wait s +cpu % +increments/s"));
}

// tests/nightly.sh does it a hundred times. Four ranks take turns on fewer CPUs: where other programs want these as
// well, each of the 400000 turns may wait for one of theirs.
TEST(counter, four_ranks_times_a_hundred_thousand_is_exact) {
  const char* times = std::getenv("ECHELON_COUNTER_RUNS");
  for (int run = 0; run < (times == nullptr ? 1 : std::atoi(times)); ++run) {
    for (const char* method : {"--atomic", "--lock"}) {
      const Outcome outcome = run_echelon({"-n", "4", "counter", "--increments", "1e5", "--quiet", method},
                                          {.limit = std::chrono::seconds{300}});
      EXPECT_EQ(outcome.exit_code, 0) << outcome;
      EXPECT_EQ(outcome.out, "400000\n") << method;
      EXPECT_EQ(outcome.err, "");
    }
  }
}

TEST(counter, alone_and_without_increments_it_is_right_as_well) {
  EXPECT_EQ(run_echelon({"counter", "--quiet"}).out, "1000000\n");
  for (const Arguments& start : {Arguments{}, Arguments{"-n", "3"}}) {
    for (const char* method : {"--atomic", "--lock"}) {
      const Outcome outcome = run_echelon(start + Arguments{"counter", "--increments", "0", "--quiet", method});
      EXPECT_EQ(outcome.exit_code, 0) << outcome;
      EXPECT_EQ(outcome.out, "0\n");
    }
  }
}

TEST(counter, works_where_each_rank_has_a_node_of_its_own) {
  for (const char* method : {"--atomic", "--lock"}) {
    const Outcome outcome = run_echelon({"-n", "3", "counter", "--increments", "300", "--quiet", method},
                                        {.environment = {{"ECHELON_RANKS_A_NODE", "1"}}});
    EXPECT_EQ(outcome.exit_code, 0) << outcome;
    EXPECT_EQ(outcome.out, "900\n");
  }
}

TEST(counter, record_says_how_it_was_done_and_atomic_is_what_is_done_untold) {
  for (const auto& [arguments, method] :
       {std::pair{Arguments{}, "atomic"}, {Arguments{"--atomic"}, "atomic"}, {Arguments{"--lock"}, "lock"}}) {
    const json record = record_of(Arguments{"-n", "2", "counter", "--increments", "50", "--repeat", "2"} + arguments);
    ASSERT_TRUE(record.is_object());
    EXPECT_EQ(record["command"], "counter");
    EXPECT_EQ(record["parameters"]["method"], method);
    EXPECT_EQ(record["result"]["expected"], 100);
    EXPECT_EQ(record["result"]["found"], 100);
    EXPECT_EQ(record["repetitions_s"].size(), 2U);
    for (const json& rank : record["ranks"]) EXPECT_EQ(rank["items"], 100);
  }
}

}  // namespace
}  // namespace echelon::test
