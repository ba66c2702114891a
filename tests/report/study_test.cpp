#include <gtest/gtest.h>

#include <echelon/report/table.hpp>

namespace echelon::report {
namespace {

analysis::Estimate with_interval(double value, double lower, double upper) {
  return {value, analysis::Interval{lower, upper}};
}

TEST(study_table, has_a_line_a_point_with_what_is_known_of_it) {
  analysis::Study study;
  analysis::StudyRow base;
  base.repetitions = 6;
  base.time_s = with_interval(4, 3.875, 4.25);
  base.scaling = analysis::Speedup{{1, {}}, {1, {}}, {}};
  analysis::StudyRow two{.ranks = 2, .threads = 4, .repetitions = 6};
  two.time_s = with_interval(0.5, 0.25, 1);
  two.scaling = analysis::Speedup{with_interval(8, 4, 16), with_interval(1, 0.5, 2), {}};
  study.rows = {base, two};
  EXPECT_EQ(study_table(study),
            "ranks  threads  n  time s     95 % interval  speedup    95 % interval  efficiency   95 % interval\n"
            "    1        1  6  4.0000  [3.8750, 4.2500]    1.000                        1.000\n"
            "    2        4  6  0.5000  [0.2500, 1.0000]    8.000  [4.000, 16.000]       1.000  [0.500, 2.000]\n");
}

TEST(study_table, says_what_failed) {
  analysis::Study study;
  study.rows = {{.ranks = 8, .failures = 2}};
  EXPECT_EQ(
      study_table(study),
      "ranks  threads  n  time s  95 % interval  speedup  95 % interval  efficiency  95 % interval  failed runs\n"
      "    8        1  0       -                       -                          -                           2\n");
}

}  // namespace
}  // namespace echelon::report
