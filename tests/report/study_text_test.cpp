#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/report/study_text.hpp>

#include "report/study_view.hpp"

namespace echelon::report {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(study_text, is_as_computed_by_hand) {
  EXPECT_EQ(
      study_text(amdahl_view()),
      "pi --points 1e9\n"
      "Strong scaling, speedup against 1 rank on 1 node (8.000 s); wall time without startup; n = 6 runs a point\n"
      "node1, node2; CPU_1 @ 2.80GHz\n"
      "Echelon 1.2.3 (abcdef), GNU 12.2.0, Release build, Open MPI 4.1.4, avx2\n"
      "echelon study --ranks 1,2,4,8 -- pi --points 1e9\n"
      "\n"
      "nodes  ranks  threads  n  time s [95 % CI]      speedup [95 % CI]  efficiency [95 % CI]  elapsed s  %CPU\n"
      "    1      1        1  6  8.000 [8.000, 8.000]  1.00               1.000                     9.000    90\n"
      "    1      2        1  6  5.000 [5.000, 5.000]  1.60 [1.60, 1.60]  0.800 [0.800, 0.800]      6.000   180\n"
      "    1      4        1  6  3.500 [3.500, 3.500]  2.29 [2.29, 2.29]  0.571 [0.571, 0.571]      4.500   360\n"
      "    2      8        1  6  2.750 [2.750, 2.750]  2.91 [2.91, 2.91]  0.364 [0.364, 0.364]      3.600   700\n"
      "\n"
      "ranks  threads     LB  CommE   ParE  CompS  GlobE  Karp-Flatt e [95 % CI]  startup s  node-hours  failed runs\n"
      "    1        1  1.000  1.000  1.000  1.000  1.000  -                           0.250      0.0025            0\n"
      "    2        1  0.950  0.900  0.855  0.936  0.800  0.25 [0.25, 0.25]           0.250     0.00167            0\n"
      "    4        1  0.900  0.800  0.720  0.794  0.571  0.25 [0.25, 0.25]           0.250     0.00125            0\n"
      "    8        1  0.850  0.700  0.595  0.611  0.364  0.25 [0.25, 0.25]           0.250       0.002            2\n"
      "LB load balance, CommE communication, ParE parallel efficiency = LB x CommE, CompS computation scalability,\n"
      "GlobE = ParE x CompS (POP); node-hours of one run\n"
      "\n"
      "model                  coefficient  value [95 % CI]    residual  least time at  largest point held out\n"
      "Amdahl                 s            0.25 [0.25, 0.25]    0.00 %              -  +0.0 % off, within\n"
      "universal scalability  alpha        0.25 [0.25, 0.25]    0.00 %              -  +0.0 % off\n"
      "                       beta         0 [0, 0]\n"
      "logarithmic overhead   s            0.25 [0.25, 0.25]    0.00 %              -  +0.0 % off\n"
      "                       delta        0 [0, 0]\n"
      "held out: the models, fitted without it, predict the largest point so far off, within or outside their "
      "interval\n"
      "\n"
      "at 16 processors       time s [95 % PI]      speedup [95 % PI]  efficiency [95 % PI]\n"
      "Amdahl                 2.375 [2.375, 2.375]  3.37 [3.37, 3.37]  0.211 [0.211, 0.211]\n"
      "universal scalability  2.375 [2.375, 2.375]  3.37 [3.37, 3.37]  0.211 [0.211, 0.211]\n"
      "logarithmic overhead   2.375 [2.375, 2.375]  3.37 [3.37, 3.37]  0.211 [0.211, 0.211]\n"
      "all models together: [2.375, 2.375] s; intervals hold only where a model is right\n"
      "\n"
      "what looks wrong:\n"
      "  - 8 ranks: too slow. That matters. Do less.\n"
      "\n"
      "failed runs:\n"
      "  - run 19, 8 ranks, warm-up, on node1: exit 1: no \"licence\", sorry\n"
      "  - run 20, 8 ranks, warm-up, again, on node1: signal 9 killed\n");
}

/// T = 6/p + 2 with 10 % more where the point is odd: no model is exact.
StudyView rough_view() {
  StudyView view = amdahl_view();
  double factor = 1;
  for (analysis::StudyPoint& point : view.points) {
    for (analysis::StudyRun& run : point.runs) run.time_s *= factor;
    factor = factor == 1 ? 1.1 : 1;
  }
  view.study = analysis::analyse(view.points);
  return view;
}

TEST(study_text, models_that_do_not_fit_say_how_far_off_they_are) {
  const StudyView view = rough_view();
  const analysis::Study& study = view.study;
  const std::string text = study_text(view);
  const auto& hold_out = *study.hold_outs[0];
  ASSERT_NE(hold_out.relative_error, 0);
  EXPECT_THAT(text, HasSubstr(fmt::format("{:+.1f} % off, {}\n", 100 * hold_out.relative_error,
                                          hold_out.within_interval ? "within" : "outside")));
  EXPECT_THAT(text, HasSubstr(fmt::format("{:.2f} %", 100 * study.models[0].relative_residual())));
  const auto& coefficient = study.models[0].coefficients()[0];
  EXPECT_THAT(text,
              HasSubstr(fmt::format("Amdahl                 s            {:.3g} [{:.3g}, {:.3g}]", coefficient.value,
                                    coefficient.interval->lower, coefficient.interval->upper)));
}

TEST(study_text, nothing_is_minus_zero) {
  StudyView view = amdahl_view();
  for (double error : {-1e-15, 1e-15}) {
    for (analysis::StudyRun& run : view.points[3].runs) run.time_s = 2.75 * (1 + error);
    view.study = analysis::analyse(view.points);
    EXPECT_THAT(study_text(view), AllOf(HasSubstr("+0.0 % off"), Not(HasSubstr("-0.0 %"))));
  }
  view.study.rows[1].scaling->efficiency = {-1e-9, analysis::Interval{-1e-9, 0.5}};
  EXPECT_THAT(study_text(view), AllOf(HasSubstr(" 0.000 [0.000, 0.500] "), Not(HasSubstr("-0.000"))));
}

TEST(study_text, lines_are_not_long) {
  StudyView view = rough_view();
  for (analysis::StudyPoint& point : view.points) {
    point.ranks *= 1024;
    point.nodes = 128;
    double factor = 1000;
    for (analysis::StudyRun& run : point.runs) run.time_s *= factor += 30;
  }
  std::string sentence;
  for (int i = 0; i < 60; ++i) sentence += "word ";
  view.study = analysis::analyse(view.points);
  view.study.warnings = {sentence};
  view.notes = {sentence};
  view.runs[0].error = sentence;
  std::istringstream lines{study_text(view)};
  std::size_t longest = 0;
  for (std::string line; std::getline(lines, line);) longest = std::max(longest, line.size());
  EXPECT_LE(longest, 120U);
}

TEST(study_text, text_from_others_does_not_command_the_terminal) {
  StudyView view = amdahl_view();
  view.title = "a\x1b[2Jb";
  view.command_line = "\x1b]0;c";
  view.notes = {"\x1b[31m"};
  view.contexts[0].cpu_model = "\x07";
  view.runs[18].error = "bad\x1b\n\r\x9b";
  EXPECT_THAT(study_text(view), AllOf(Not(HasSubstr("\x1b")), Not(HasSubstr("\x07")), Not(HasSubstr("\x9b"))));
}

TEST(study_text, weak_scaling_has_its_own_serial_fraction) {
  StudyView view = amdahl_view();
  view.weak = "1e8*p";
  view.study = analysis::analyse(view.points, {.scaling = analysis::Scaling::weak, .baseline_ranks = {}});
  const std::string text = study_text(view);
  EXPECT_THAT(text, AllOf(HasSubstr("Weak scaling (work: 1e8*p)"), HasSubstr("serial fraction s"),
                          HasSubstr("Gustafson"), Not(HasSubstr("Karp-Flatt"))));
  EXPECT_THAT(text, HasSubstr("5.000 [5.000, 5.000]  3.20 [3.20, 3.20]     1.600 [1.600, 1.600]"));
}

TEST(study_text, nothing_measured_is_still_a_report) {
  StudyView view;
  view.title = "false";
  view.points = {{.ranks = 2}};
  view.study = analysis::analyse(view.points);
  view.study.warnings.clear();
  EXPECT_EQ(
      study_text(view),
      "false\n"
      "Strong scaling; wall time; no measured run yet\n"
      "\n"
      "nodes  ranks  threads  n  time s [95 % CI]  speedup [95 % CI]  efficiency [95 % CI]  elapsed s  %CPU\n"
      "    1      2        1  0  -                 -                  -                             -     -\n"
      "\n"
      "ranks  threads  LB  CommE  ParE  CompS  GlobE  Karp-Flatt e [95 % CI]  startup s  node-hours  failed runs\n"
      "    2        1   -      -     -      -      -  -                               -           -            0\n"
      "LB load balance, CommE communication, ParE parallel efficiency = LB x CommE, CompS computation scalability,\n"
      "GlobE = ParE x CompS (POP); node-hours of one run\n"
      "\n"
      "nothing looks wrong\n");
}

}  // namespace
}  // namespace echelon::report
