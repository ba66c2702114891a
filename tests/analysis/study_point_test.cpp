#include <stdexcept>

#include <gtest/gtest.h>

#include <echelon/analysis/study_point.hpp>

namespace echelon::analysis {
namespace {

measure::RankRecord rank(std::string host, std::uint64_t items, double startup_s, double compute_s) {
  measure::RankRecord record;
  record.host = std::move(host);
  record.items = items;
  record.startup_s = startup_s;
  record.compute_s = compute_s;
  record.cpu_s = 2 * compute_s;
  return record;
}

TEST(study_run, holds_what_the_record_says) {
  measure::Record record;
  record.wall_s = 9;
  record.repetitions_s = {3, 1, 2};
  record.ranks = {rank("b", 10, 0.5, 4), rank("a", 20, 0.7, 5), rank("b", 30, 0.1, 6)};
  record.ranks[1].lost = true;
  const StudyRun run = study_run(record, 17);
  EXPECT_EQ(run.sequence, 17U);
  EXPECT_EQ(run.time_s, 2);
  EXPECT_EQ(run.startup_s, 0.7);
  EXPECT_EQ(run.elapsed_s, 9);
  EXPECT_EQ(run.cpu_s, 30);
  EXPECT_EQ(run.lost_ranks, 1U);
  EXPECT_EQ(run.pop->useful_s, 5);  // of one of the three repetitions
  EXPECT_EQ(run.pop->longest_s, 2);
  EXPECT_EQ(run.pop->elapsed_s, 2);
  EXPECT_EQ(run.pop->processors, 3U);
  record.context.threads = 4;
  EXPECT_EQ(study_run(record, 17).pop->useful_s, 20);
  EXPECT_EQ(study_run(record, 17).pop->processors, 12U);
  ASSERT_EQ(run.hosts.size(), 2U);
  EXPECT_EQ(run.hosts[0].host, "a");
  EXPECT_EQ(run.hosts[1].ranks, 2U);
  EXPECT_EQ(run.hosts[1].items, 40U);
  EXPECT_EQ(run.hosts[1].compute_s, 10);
}

TEST(study_run, record_of_no_ranks_has_a_time_only) {
  measure::Record record;
  record.repetitions_s = {4};
  const StudyRun run = study_run(record, 0);
  EXPECT_EQ(run.time_s, 4);
  EXPECT_FALSE(run.pop.has_value());
  EXPECT_FALSE(run.elapsed_s.has_value());
}

TEST(study_run, record_without_repetitions_is_refused) {
  EXPECT_THROW(static_cast<void>(study_run(measure::Record{}, 0)), std::invalid_argument);
}

TEST(label, names_threads_where_there_are_some) {
  EXPECT_EQ(label(1, 1), "1 rank");
  EXPECT_EQ(label(8, 1), "8 ranks");
  EXPECT_EQ(label(4, 2), "4 ranks x 2 threads");
}

TEST(study_run, cpu_share_is_the_worst_rank_s_where_computing_is_all_that_compute_is) {
  measure::Record record;
  record.command = "pi";
  record.context.threads = 2;
  record.repetitions_s = {1};
  record.ranks.resize(2);
  for (measure::RankRecord& rank : record.ranks) rank.compute_s = 1;
  record.ranks[0].cpu_s = 2;
  record.ranks[1].cpu_s = 1;
  EXPECT_EQ(study_run(record, 1).cpu_share, 0.5);
  record.command = "map";  // its ranks wait for commands
  EXPECT_EQ(study_run(record, 1).cpu_share, std::nullopt);
}

}  // namespace
}  // namespace echelon::analysis
