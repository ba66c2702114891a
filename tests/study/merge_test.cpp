// Several studies as one.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/base/error.hpp>
#include <echelon/study/merge.hpp>

namespace echelon::study {
namespace {

using testing::ElementsAre;

Kept kept(const std::string& folder, std::vector<std::uint64_t> ranks) {
  Kept study{.folder = folder};
  study.plan.ranks = std::move(ranks);
  study.plan.command = {"pi"};
  return study;
}

Run run(std::uint64_t seq, std::uint64_t ranks, const std::string& started_at) {
  return {.seq = seq, .ranks = ranks, .started_at = started_at, .launch_to_exit_s = static_cast<double>(ranks)};
}

std::string refusal(const Kept& one, const Kept& other) {
  try {
    (void)merge({one, other});
  } catch (const base::UsageError& e) {
    return e.what();
  }
  return "(not refused)";
}

TEST(merge, one_study_is_as_it_was) {
  Kept study = kept("a", {2});
  study.runs = {run(3, 2, "z"), run(4, 2, "a")};
  study.runs[0].error = "ended with status 3";
  const Kept merged = merge({study});
  EXPECT_EQ(merged.plan, study.plan);
  EXPECT_EQ(merged.runs[0].seq, 3U);
  EXPECT_EQ(merged.runs[0].error, "ended with status 3");
}

TEST(merge, points_are_united_and_runs_pooled_in_the_order_of_their_start) {
  Kept a = kept("a", {1, 4});
  a.runs = {run(1, 1, "2026-11-21T10:00:00Z"), run(2, 4, "2026-11-21T12:00:00Z")};
  Kept b = kept("b", {2, 4});
  b.plan.repeat = 3;
  b.plan.folder = "/elsewhere";
  b.plan.baseline = 2;
  b.runs = {run(1, 2, "2026-11-21T11:00:00Z"), run(2, 4, "2026-11-21T12:00:00Z")};
  b.runs[0].error = "ended with status 3: no licence";
  const Kept merged = merge({a, b});
  EXPECT_THAT(merged.plan.ranks, ElementsAre(1, 2, 4));
  EXPECT_EQ(merged.plan.baseline, 2U);
  std::vector<std::uint64_t> ranks;
  std::vector<std::uint64_t> seqs;
  for (const auto& one : merged.runs) {
    ranks.push_back(one.ranks);
    seqs.push_back(one.seq);
  }
  EXPECT_THAT(ranks, ElementsAre(1, 2, 4, 4));
  EXPECT_THAT(seqs, ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(merged.runs[1].error, "b, run 1: ended with status 3: no licence");
  const auto points = study_points(merged.plan, merged.runs);
  EXPECT_EQ(points.at(2).runs.size(), 2U);
  EXPECT_EQ(points.at(1).failures, 1U);
}

TEST(merge, other_work_is_refused_with_the_difference) {
  Kept other = kept("b", {2});
  other.plan.command = {"pi", "--points", "5"};
  EXPECT_THAT(refusal(kept("a", {1}), other), testing::HasSubstr("command ('pi' in 'a', 'pi --points 5' in 'b')"));
  other = kept("b", {2});
  other.plan.weak = "p";
  EXPECT_THAT(refusal(kept("a", {1}), other), testing::HasSubstr("weak (none in 'a', 'p' in 'b')"));
  other = kept("b", {2});
  other.plan.threads = {1, 2};
  EXPECT_THAT(refusal(kept("a", {1}), other), testing::HasSubstr("threads (1 in 'a', 1,2 in 'b')"));
}

}  // namespace
}  // namespace echelon::study
