#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/analysis/warnings.hpp>

namespace echelon::analysis {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

measure::RankRecord rank(std::string host, std::string cpus) {
  measure::RankRecord record;
  record.host = std::move(host);
  record.cpus = std::move(cpus);
  record.items = 1000;
  return record;
}

/// Nothing is wrong with it: two bound ranks of a release build.
measure::Record clean_record() {
  measure::Record record;
  record.context.build_type = "Release";
  record.context.ranks = 2;
  record.context.threads = 1;
  record.context.cpus_allowed = 2;
  record.ranks = {rank("a", "0"), rank("a", "1")};
  return record;
}

void expect_capacity(const Capacity& found, std::uint64_t cpus, bool oversubscribed) {
  EXPECT_EQ(found.cpus, cpus);
  EXPECT_EQ(found.oversubscribed, oversubscribed);
}

TEST(capacity, cpus_of_a_host_count_once) {
  expect_capacity(capacity({rank("a", "0-3"), rank("a", "0-3")}, {4, 4}, 2), 4, false);
  expect_capacity(capacity({rank("a", "0-1"), rank("a", "2-3")}, {4, 4}, 2), 4, false);
  expect_capacity(capacity({rank("a", "0-2"), rank("a", "2-3")}, {4, 4}, 2), 4, false);
}

TEST(capacity, same_numbers_on_another_host_are_other_cpus) {
  expect_capacity(capacity({rank("a", "0-3"), rank("b", "0-3")}, {4, 4}, 4), 8, false);
}

TEST(capacity, more_threads_than_cpus_are_oversubscribed) {
  expect_capacity(capacity({rank("a", "0"), rank("a", "0")}, {1, 1}, 1), 1, true);
  expect_capacity(capacity({rank("a", "0-3")}, {4}, 5), 4, true);
}

TEST(capacity, one_full_host_is_enough_to_oversubscribe) {
  expect_capacity(capacity({rank("a", "0-7"), rank("b", "0"), rank("b", "0")}, {8, 1, 1}, 1), 9, true);
}

TEST(capacity, quota_of_a_host_limits_its_cpus) {
  expect_capacity(capacity({rank("a", "0-7"), rank("a", "0-7")}, {2, 2}, 1), 2, false);
  expect_capacity(capacity({rank("a", "0-7"), rank("a", "0-7")}, {2, 2}, 2), 2, true);
  expect_capacity(capacity({rank("a", "0-7"), rank("b", "0-7")}, {2, 8}, 2), 10, false);
  expect_capacity(capacity({rank("a", "0-1")}, {16}, 2), 2, false);
}

TEST(capacity, broken_cpu_list_throws) {
  EXPECT_THROW(static_cast<void>(capacity({rank("a", "x")}, {1}, 1)), std::invalid_argument);
}

TEST(warnings, clean_record_has_none) {
  EXPECT_THAT(warnings(clean_record()), IsEmpty());
  measure::Record record = clean_record();
  record.context.build_type = "RelWithDebInfo";
  EXPECT_THAT(warnings(record), IsEmpty());
  record.ranks = {rank("a", "0-1")};  // one rank that may use all CPUs is no risk
  record.context.ranks = 1;
  EXPECT_THAT(warnings(record), IsEmpty());
  record.ranks = {rank("a", "0-1"), rank("a", "2-3")};
  EXPECT_THAT(warnings(record), IsEmpty());
  record.ranks = {rank("a", "0"), rank("b", "0")};
  EXPECT_THAT(warnings(record), IsEmpty());
}

TEST(warnings, slow_build_is_named) {
  measure::Record record = clean_record();
  record.context.build_type = "Debug";
  EXPECT_THAT(warnings(record), ElementsAre("this is a Debug build, slower than what users run; measure with the "
                                            "release preset"));
  record.context.build_type = "";
  EXPECT_THAT(warnings(record), ElementsAre(HasSubstr("without optimisation")));
}

TEST(warnings, oversubscription_says_how_much) {
  measure::Record record = clean_record();
  record.context.oversubscribed = true;
  record.context.ranks = 2;
  record.context.threads = 3;
  record.context.cpus_allowed = 1;
  EXPECT_THAT(
      warnings(record),
      ElementsAre("oversubscribed: 6 threads on 1 CPU; they take turns, so times and efficiencies are not those "
                  "of 6 CPUs; use fewer ranks or threads"));
}

TEST(warnings, shared_cpus_are_unbound) {
  measure::Record record = clean_record();
  record.ranks = {rank("a", "0-1"), rank("a", "0-1")};
  EXPECT_THAT(warnings(record), ElementsAre(AllOf(StartsWith("unbound: "), HasSubstr("--bind-to core"))));
}

// That they share them is then said by the other warning.
TEST(warnings, oversubscribed_ranks_are_not_called_unbound) {
  measure::Record record = clean_record();
  record.ranks = {rank("a", "0"), rank("a", "0")};
  record.context.oversubscribed = true;
  EXPECT_THAT(warnings(record), ElementsAre(StartsWith("oversubscribed: ")));
}

TEST(warnings, rank_without_its_cpu_time_is_named) {
  measure::Record record = clean_record();
  record.ranks[1].rank = 1;
  for (measure::RankRecord& one : record.ranks) one.compute_s = one.cpu_s = 10;
  EXPECT_THAT(warnings(record), IsEmpty());
  record.ranks[1].cpu_s = 4.5;
  EXPECT_THAT(warnings(record),
              ElementsAre(AllOf(StartsWith("rank 1 "), HasSubstr("45 %"), HasSubstr("quiet machine"))));
  record.context.threads = 2;
  record.ranks[1].cpu_s = 20;
  EXPECT_THAT(warnings(record), ElementsAre(AllOf(StartsWith("rank 0 "), HasSubstr("50 %"))));
  record.context.oversubscribed = true;  // says it already
  EXPECT_THAT(warnings(record), ElementsAre(StartsWith("oversubscribed")));
}

TEST(warnings, too_short_to_tell_is_not_told) {
  measure::Record record = clean_record();
  record.ranks[0].compute_s = 0.01;
  EXPECT_THAT(warnings(record), IsEmpty());
}

TEST(warnings, idle_ranks_are_counted) {
  measure::Record record = clean_record();
  record.ranks.back().items = 0;
  EXPECT_THAT(warnings(record), ElementsAre("1 of 2 ranks got no work"));
  record.command = "pi";
  EXPECT_THAT(warnings(record), ElementsAre("1 of 2 ranks got no work: there are too few blocks or chunks; give more "
                                            "points, or a smaller --block or --chunk"));
}

TEST(warnings, nodes_of_the_job_without_ranks_are_counted) {
  measure::Record record = clean_record();
  record.context.hosts = {"a"};
  record.context.launcher = "echelon";
  record.context.slurm = {{"SLURM_JOB_ID", "1"}, {"SLURM_JOB_NUM_NODES", "2"}};
  EXPECT_THAT(warnings(record), ElementsAre("1 of 2 nodes of the SLURM job has no rank"));
  record.context.slurm->back().second = "4";
  EXPECT_THAT(warnings(record), ElementsAre("3 of 4 nodes of the SLURM job have no rank"));
  record.context.slurm->back().second = "1";
  EXPECT_THAT(warnings(record), IsEmpty());
  record.context.slurm->back().second = "2";
  record.context.launcher = "none";
  EXPECT_THAT(warnings(record), IsEmpty()) << "it is one process only";
}

TEST(warnings, command_without_items_has_no_idle_ranks) {
  measure::Record record = clean_record();
  for (measure::RankRecord& r : record.ranks) r.items = 0;
  EXPECT_THAT(warnings(record), IsEmpty());
  record.ranks.clear();
  EXPECT_THAT(warnings(record), IsEmpty());
}

TEST(warnings, all_that_apply_are_given_a_line_each) {
  measure::Record record = clean_record();
  record.context.build_type = "Debug";
  record.ranks = {rank("a", "0-1"), rank("a", "0-1")};
  record.ranks.back().items = 0;
  const std::vector<std::string> found = warnings(record);
  EXPECT_THAT(found, ElementsAre(HasSubstr("Debug"), StartsWith("unbound"), HasSubstr("got no work")));
  for (const std::string& line : found) EXPECT_EQ(line.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace echelon::analysis
