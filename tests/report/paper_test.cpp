#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/report/paper.hpp>

#include "report/study_view.hpp"

namespace echelon::report {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(paper, markdown_is_as_computed_by_hand) {
  EXPECT_EQ(
      study_markdown(amdahl_view()),
      "Strong scaling of `pi --points 1e9`. Median wall time without startup in seconds, n = 6 runs a point. "
      "Speedup and efficiency are ratios of medians against 1 rank on 1 node (8.000 s) of the same program. "
      "In brackets: 95 % confidence intervals; of the time by order statistics, distribution-free, of the ratios by a "
      "joint percentile bootstrap. LB and CommE: POP's load balance and communication efficiency, ratios of medians. "
      "Node-hours are those of one run. Machine: node1, node2; CPU\\_1 @ 2.80GHz. "
      "Software: Echelon 1.2.3 (abcdef), GNU 12.2.0, Release build, Open MPI 4.1.4, avx2.\n"
      "\n"
      "| Nodes | Ranks | Threads | n | Wall time (s) \\[95 % CI\\] | Speedup \\[95 % CI\\] | Efficiency \\[95 % CI\\] "
      "| LB | "
      "CommE | Node-hours |\n"
      "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
      "| 1 | 1 | 1 | 6 | 8.000 [8.000, 8.000] | 1.00 | 1.000 | 1.000 | 1.000 | 0.0025 |\n"
      "| 1 | 2 | 1 | 6 | 5.000 [5.000, 5.000] | 1.60 [1.60, 1.60] | 0.800 [0.800, 0.800] | 0.950 | 0.900 | 0.00167 |\n"
      "| 1 | 4 | 1 | 6 | 3.500 [3.500, 3.500] | 2.29 [2.29, 2.29] | 0.571 [0.571, 0.571] | 0.900 | 0.800 | 0.00125 |\n"
      "| 2 | 8 | 1 | 6 | 2.750 [2.750, 2.750] | 2.91 [2.91, 2.91] | 0.364 [0.364, 0.364] | 0.850 | 0.700 | 0.002 |\n");
}

TEST(paper, latex_is_as_computed_by_hand) {
  EXPECT_EQ(
      study_latex(amdahl_view()),
      "\\begin{table}\n"
      "  \\centering\n"
      "  \\footnotesize\n"
      "  \\caption{Strong scaling of \\texttt{pi -{}-points 1e9}. Median wall time without startup in seconds, n "
      "= 6 runs a point. "
      "Speedup and efficiency are ratios of medians against 1 rank on 1 node (8.000 s) of the same program. "
      "In brackets: 95 \\% confidence intervals; of the time by order statistics, distribution-free, of the "
      "ratios by a "
      "joint percentile bootstrap. LB and CommE: POP's load balance and communication efficiency, ratios of medians. "
      "Node-hours are those of one run. Machine: node1, node2; CPU\\_1 @ 2.80GHz. "
      "Software: Echelon 1.2.3 (abcdef), GNU 12.2.0, Release build, Open MPI 4.1.4, avx2.}\n"
      "  \\label{tab:scaling}\n"
      "  \\begin{tabular}{rrrrlllrrr}\n"
      "    \\hline\n"
      "    Nodes & Ranks & Threads & n & Wall time (s) [95 \\% CI] & Speedup [95 \\% CI] & Efficiency [95 \\% "
      "CI] & LB & CommE "
      "& Node-hours \\\\\n"
      "    \\hline\n"
      "    1 & 1 & 1 & 6 & 8.000 [8.000, 8.000] & 1.00 & 1.000 & 1.000 & 1.000 & 0.0025 \\\\\n"
      "    1 & 2 & 1 & 6 & 5.000 [5.000, 5.000] & 1.60 [1.60, 1.60] & 0.800 [0.800, 0.800] & 0.950 & 0.900 & "
      "0.00167 \\\\\n"
      "    1 & 4 & 1 & 6 & 3.500 [3.500, 3.500] & 2.29 [2.29, 2.29] & 0.571 [0.571, 0.571] & 0.900 & 0.800 & "
      "0.00125 \\\\\n"
      "    2 & 8 & 1 & 6 & 2.750 [2.750, 2.750] & 2.91 [2.91, 2.91] & 0.364 [0.364, 0.364] & 0.850 & 0.700 & "
      "0.002 \\\\\n"
      "    \\hline\n"
      "  \\end{tabular}\n"
      "\\end{table}\n");
}

TEST(paper, latex_specials_are_escaped) {
  StudyView view = amdahl_view();
  view.title = "a\\b{c}d$e&f#g_h%i^j~k<l>m|n--o``p\n''";
  EXPECT_THAT(study_latex(view),
              HasSubstr("of \\texttt{a\\textbackslash{}b\\{c\\}d\\$e\\&f\\#g\\_h\\%i\\textasciicircum{}j"
                        "\\textasciitilde{}k\\textless{}l\\textgreater{}m\\textbar{}n-{}-o`{}`p '{}'}."));
}

TEST(paper, markdown_specials_are_escaped) {
  StudyView view = amdahl_view();
  view.title = "`a``b|*";
  view.contexts[0].cpu_model = "<b>*|_`[x](y)&amp;\n# ~~";
  const std::string text = study_markdown(view);
  EXPECT_THAT(text, StartsWith("Strong scaling of ``` `a``b|* ```."));
  EXPECT_THAT(text, HasSubstr("\\<b\\>\\*\\|\\_\\`\\[x\\](y)\\&amp; \\# \\~\\~"));
}

TEST(paper, weak_scaling_says_its_work) {
  StudyView view = amdahl_view();
  view.weak = "1e8*p";
  view.study = analysis::analyse(view.points, {.scaling = analysis::Scaling::weak, .baseline_ranks = {}});
  EXPECT_THAT(study_markdown(view), StartsWith("Weak scaling (work: 1e8\\*p) of `pi --points 1e9`."));
}

TEST(paper, what_is_missing_is_said) {
  StudyView view = amdahl_view();
  view.points[0].runs.resize(3);
  view.points[3].runs.clear();
  view.points[1].startup_counted = true;
  view.study = analysis::analyse(view.points);
  view.records.assign(4, std::nullopt);
  view.contexts.clear();
  const std::string text = study_markdown(view);
  EXPECT_THAT(text, AllOf(HasSubstr("n = 3 to 6 runs a point"), HasSubstr("Of fewer than 6 runs there are none."),
                          HasSubstr("No run succeeded of: 8 ranks."), HasSubstr("Machine: node1."),
                          Not(HasSubstr("Software")), HasSubstr("but of some points from launch to exit")));
  EXPECT_THAT(text, HasSubstr("| 1 | 4 | 1 | 3 | 3.500 | 2.29 | 0.571 | 0.900 | 0.800 | 0.00125 |\n"));
  EXPECT_THAT(text, HasSubstr("| 2 | 8 | 1 | 0 | - | - | - | - | - | - |\n"));
}

TEST(paper, nothing_measured_is_still_a_table) {
  StudyView view;
  view.points = {{.ranks = 2}};
  view.study = analysis::analyse(view.points);
  EXPECT_THAT(study_markdown(view), HasSubstr("| 1 | 2 | 1 | 0 | - | - | - | - | - | - |\n"));
  EXPECT_THAT(study_latex(view), HasSubstr("    1 & 2 & 1 & 0 & - & - & - & - & - & - \\\\\n"));
}

}  // namespace
}  // namespace echelon::report
