#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/report/compare_text.hpp>

namespace echelon::report {
namespace {

using analysis::Difference;
using analysis::Estimate;
using analysis::Interval;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

analysis::Comparison comparison() {
  analysis::Comparison result;
  result.points = {{1, 1, 10, 8, 8.0, 7.2, Estimate{0.9, Interval{0.88, 0.92}}, 0.0004, Difference::faster},
                   {2, 1, 10, 8, 4.0, 4.5, Estimate{1.125, Interval{1.1, 1.15}}, 0.03, Difference::slower},
                   {2, 2, 10, 8, 0.0123456, 0.0124, Estimate{1.004, Interval{0.99, 1.02}}, 1.0, Difference::none_shown},
                   {8, 1, 10, 2, 1.5, 1.25, Estimate{0.8333, std::nullopt}, std::nullopt, Difference::too_few_runs},
                   {16, 1, 10, 0, 1.0, std::nullopt, std::nullopt, std::nullopt, Difference::too_few_runs}};
  result.runs_for_verdict = 6;
  result.only_first = {{4, 2}, {32, 1}};
  result.only_second = {{64, 1}};
  return result;
}

TEST(compare_text, is_as_written_by_hand) {
  EXPECT_EQ(
      compare_text(comparison(), "before", "after"),
      "A: before\n"
      "B: after\n"
      "\n"
      "ranks  threads  n A  n B      A s      B s  B / A [95 % CI]            p  verdict\n"
      "    1        1   10    8    8.000    7.200  0.900 [0.880, 0.920]  <0.001  B is faster, by 10.0 %\n"
      "    2        1   10    8    4.000    4.500  1.125 [1.100, 1.150]   0.030  B is slower, by 12.5 %\n"
      "    2        2   10    8  0.01235  0.01240  1.004 [0.990, 1.020]   1.000  no difference that these runs show\n"
      "    8        1   10    2    1.500    1.250  0.833                      -  too few runs\n"
      "   16        1   10    0    1.000        -  -                          -  no runs to compare\n"
      "\n"
      "only A has 4 ranks x 2 threads, 32 ranks\n"
      "only B has 64 ranks\n"
      "\n"
      "Times are medians, and intervals those of their ratio, of each point alone. p is corrected for 3 points by\n"
      "Holm's method: where nothing differs, all verdicts together are right with 95 %. What changed on the machine\n"
      "from one study to the other is in the ratio, too.\n"
      "A verdict needs 6 runs of a point in both studies.\n");
}

TEST(compare_text, studies_without_a_common_point) {
  analysis::Comparison result;
  result.only_first = {{1, 1}};
  EXPECT_EQ(compare_text(result, "a\x1b", "b"),
            "A: a \nB: b\n\nthe studies have no point in common\n\nonly A has 1 rank\n");
}

TEST(compare_text, many_points_need_more_runs) {
  analysis::Comparison result = comparison();
  result.runs_for_verdict = 7;
  EXPECT_THAT(compare_text(result, "a", "b"),
              HasSubstr("A verdict needs 7 runs of a point in both studies, as so many are compared.\n"));
}

TEST(compare_text, what_the_machines_differ_in_is_said_first) {
  EXPECT_THAT(compare_text(comparison(), "a", "b", "CPU (X; Y\x1b)"),
              StartsWith("A: a\nB: b\nruns differ in CPU (X; Y )\n\nranks"));
}

TEST(compare_text, what_does_not_apply_is_not_said) {
  analysis::Comparison result = comparison();
  result.points.resize(2);
  EXPECT_THAT(compare_text(result, "a", "b"), Not(HasSubstr("A verdict needs")));
  result.points = {comparison().points[3]};
  EXPECT_THAT(compare_text(result, "a", "b"), Not(HasSubstr("Holm")));
}

}  // namespace
}  // namespace echelon::report
