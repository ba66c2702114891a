#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/report/gnuplot.hpp>

#include "report/study_view.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::report {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(gnuplot, data_are_the_points_and_the_models_curves) {
  const std::string text = figures_dat(amdahl_view());
  EXPECT_THAT(text, StartsWith("# pi --points 1e9\n"
                               "# echelon study --ranks 1,2,4,8 -- pi --points 1e9\n"
                               "# processors ranks threads n time_s lower upper speedup lower upper efficiency lower "
                               "upper\n"
                               "1 1 1 6 8 8 8 1 1 1 1 1 1\n"
                               "2 2 1 6 5 5 5 1.6 1.6 1.6 0.8 0.8 0.8\n"
                               "4 4 1 6 3.5 3.5 3.5 2.28571429 2.28571429 2.28571429 0.571428571 0.571428571 "
                               "0.571428571\n"
                               "8 8 1 6 2.75 2.75 2.75 2.90909091 2.90909091 2.90909091 0.363636364 0.363636364 "
                               "0.363636364\n"
                               "\n\n"
                               "# Amdahl: processors time_s lower upper speedup lower upper efficiency lower upper\n"
                               "1 8 8 8 1 1 1 1 1 1\n"));
  // The curve goes to twice the largest point: 6/16 + 2 s, 8 s / that, and a 16th of it.
  EXPECT_THAT(text, HasSubstr("\n16 2.375 2.375 2.375 3.36842105 3.36842105 3.36842105 0.210526316 0.210526316 "
                              "0.210526316\n"));
}

TEST(gnuplot, bounds_are_in_order_and_points_without_times_are_nan) {
  StudyView view = amdahl_view();
  double time_s = 2;
  for (analysis::StudyRun& run : view.points[0].runs) run.time_s = time_s += 0.5;
  view.points[3].runs.clear();
  view.study = analysis::analyse(view.points);
  const std::string text = figures_dat(view);
  EXPECT_THAT(text, HasSubstr("\n8 8 1 0 NaN NaN NaN NaN NaN NaN NaN NaN NaN\n"));
  int lines_read = 0;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream cells{line};
    std::vector<double> values;
    for (double value = 0; cells >> value;) values.push_back(value);
    if (values.size() != 13 && values.size() != 10) continue;  // of a point, of a model
    ++lines_read;
    for (std::size_t i = values.size() == 13 ? 4 : 1; i < values.size(); i += 3) {
      EXPECT_LE(values[i + 1], values[i]) << line;
      EXPECT_GE(values[i + 2], values[i]) << line;
    }
  }
  EXPECT_GE(lines_read, 90);
}

std::string read(const std::filesystem::path& path) {
  std::ifstream file{path};
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Drawn {
  int status = 0;
  std::string messages;
};

Drawn draw(const StudyView& view, const test::TemporaryFolder& folder) {
  folder.write("figures.dat", figures_dat(view));
  folder.write("figures.gp", figures_gp(view));
  // Without a locale gnuplot warns that it has no degree sign.
  const std::string command =
      "cd '" + folder.path().string() + "' && LC_ALL=C.UTF-8 gnuplot figures.gp > messages 2>&1 < /dev/null";
  const int status = std::system(command.c_str());
  return {status, read(folder.path() / "messages")};
}

void expect_figures(const StudyView& view) {
  const test::TemporaryFolder folder;
  const Drawn drawn = draw(view, folder);
  EXPECT_EQ(drawn.status, 0) << drawn.messages;
  EXPECT_THAT(drawn.messages, AllOf(Not(HasSubstr("warning")), Not(HasSubstr("rror"))));
  const bool has_pdf = drawn.messages.find("no PDF") == std::string::npos;
  for (const std::string name : {"time", "speedup", "efficiency"}) {
    SCOPED_TRACE(name);
    const std::string svg = read(folder.path() / (name + ".svg"));
    EXPECT_THAT(svg, AllOf(StartsWith("<?xml"), HasSubstr("</svg>"), HasSubstr(">processors<"), HasSubstr("ideal"),
                           HasSubstr("median, 95 % CI")));
    for (const analysis::Model& model : view.study.models) {
      EXPECT_THAT(svg, HasSubstr(std::string{analysis::name(model.kind())}));
    }
    if (has_pdf) {
      const std::string pdf = read(folder.path() / (name + ".pdf"));
      EXPECT_THAT(pdf.substr(0, 5), "%PDF-");
      EXPECT_GT(pdf.size(), 2000U);
    }
  }
}

class with_gnuplot : public testing::Test {
 protected:
  void SetUp() override {
    if (std::system("gnuplot --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "there is no gnuplot here";
  }
};

TEST_F(with_gnuplot, draws_all_figures) { expect_figures(amdahl_view()); }

TEST_F(with_gnuplot, draws_weak_scaling) {
  StudyView view = amdahl_view();
  view.weak = "1e8*p";
  view.study = analysis::analyse(view.points, {.scaling = analysis::Scaling::weak, .baseline_ranks = {}});
  expect_figures(view);
}

// Some models are through all points: nothing is known of how far off they are.
TEST_F(with_gnuplot, draws_models_without_intervals) {
  StudyView view = amdahl_view();
  view.points.resize(3);
  view.points[0].runs.resize(1);
  view.points[0].runs[0].time_s = 9;
  view.study = analysis::analyse(view.points);
  expect_figures(view);
}

TEST_F(with_gnuplot, draws_one_point_without_models) {
  StudyView view = amdahl_view();
  view.points = {view.points[1]};
  view.study = analysis::analyse(view.points);
  ASSERT_TRUE(view.study.models.empty());
  expect_figures(view);
}

TEST_F(with_gnuplot, text_from_others_is_not_executed) {
  StudyView view = amdahl_view();
  view.title = "a'b`touch ran`@c\"$(touch ran)_{d}^e\nsystem('touch ran') \\";
  view.command_line = "x`touch ran`\n!touch ran\\";
  expect_figures(view);
  const test::TemporaryFolder folder;
  ASSERT_EQ(draw(view, folder).status, 0);
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "ran"));
  EXPECT_THAT(read(folder.path() / "time.svg"), HasSubstr("`touch ran`@c"));
}

/// As a reader of the figure sees it.
std::string unescaped(std::string text) {
  const std::array<std::pair<std::string_view, char>, 5> entities{
      {{"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}, {"&amp;", '&'}}};
  for (const auto& [entity, character] : entities) {
    for (std::size_t at = 0; (at = text.find(entity, at)) != std::string::npos; ++at) {
      text.replace(at, entity.size(), 1, character);
    }
  }
  return text;
}

TEST_F(with_gnuplot, title_is_the_command) {
  for (const std::string title :
       {R"(./args.sh 'it'\''s')", R"('a' ''b'' 'c'')", R"("quoted" \"this\")", R"(\n \t \101 \\ c:\new\)",
        "{a} {/Bold b", "}{", "x_1^2 @time ~a{.8-} &{b}", "'\"@time'", "%d %s 100% %%", "$HOME ${x} $(y) `7`7",
        "# no comment; a <b>", "'", "\\"}) {
    SCOPED_TRACE(title);
    StudyView view = amdahl_view();
    view.title = title;
    const test::TemporaryFolder folder;
    const Drawn drawn = draw(view, folder);
    EXPECT_EQ(drawn.status, 0) << drawn.messages;
    for (const std::string name : {"time", "speedup", "efficiency"}) {
      const std::string svg = unescaped(read(folder.path() / (name + ".svg")));
      EXPECT_NE(svg.find(">Strong scaling: " + title + "</text>"), std::string::npos) << name;
    }
  }
}

/// 1 to 8 ranks, of 1 and 2 threads; the largest point has twice as many threads as CPUs, so that no model has it.
StudyView oversubscribed_pairs() {
  StudyView view = amdahl_view();
  for (const std::size_t i : {0, 1, 2, 3}) {
    analysis::StudyPoint point = view.points[i];
    point.threads = 2;
    point.cpus_allowed = i == 3 ? 8 : 2 * point.ranks;
    for (analysis::StudyRun& run : point.runs) run.time_s *= 0.6;
    view.points.push_back(point);
    view.records.emplace_back();
  }
  view.study = analysis::analyse(view.points, {.baseline_ranks = {}, .extrapolate_to = 12});
  return view;
}

TEST(gnuplot, models_end_at_the_limit_and_are_dashed_beyond_what_they_are_fitted_to) {
  const StudyView view = oversubscribed_pairs();
  ASSERT_EQ(view.study.rows.back().processors, 16U);
  const std::string data = figures_dat(view);
  EXPECT_THAT(data, HasSubstr("\n16 8 2 6 "));
  std::istringstream curves{data.substr(data.find("# Amdahl"))};
  double most = 0;
  bool has_last_fitted = false;
  for (std::string line; std::getline(curves, line);) {
    const double processors = std::atof(line.c_str());
    most = std::max(most, processors);
    has_last_fitted |= processors == 8;
  }
  EXPECT_EQ(most, 12);
  EXPECT_TRUE(has_last_fitted);
  const std::string script = figures_gp(view);
  EXPECT_THAT(script, HasSubstr("'figures.dat' index 1 using ($1<=8?$1:NaN):2 with lines lw 1.5"));
  EXPECT_THAT(script, HasSubstr("'figures.dat' index 1 using ($1>=8?$1:NaN):2 with lines dt 2 lw 1.5"));
  EXPECT_THAT(script, HasSubstr("title 'extrapolated'"));
  // The points go on, and their axis with them.
  EXPECT_THAT(script, HasSubstr("set xrange [0.869565:18.4]"));
}

TEST_F(with_gnuplot, points_of_other_numbers_of_threads_have_other_marks) {
  const StudyView view = oversubscribed_pairs();
  expect_figures(view);
  const test::TemporaryFolder folder;
  ASSERT_EQ(draw(view, folder).status, 0);
  const std::string svg = read(folder.path() / "time.svg");
  for (const char* words : {"median, 95 % CI, 1 thread a rank<", "median, 95 % CI, 2 threads a rank<",
                            "<use xlink:href='#gpPt6' transform", "<use xlink:href='#gpPt8' transform"}) {
    EXPECT_NE(svg.find(words), std::string::npos) << words;
  }
}

/// The y axes of a script, in its figures' order.
std::vector<analysis::Interval> y_axes(const std::string& script) {
  std::vector<analysis::Interval> axes;
  constexpr std::string_view head = "set yrange [";
  for (std::size_t at = 0; (at = script.find(head, at)) != std::string::npos;) {
    at += head.size();
    const double lower = std::atof(script.c_str() + at);
    axes.push_back({lower, std::atof(script.c_str() + script.find(':', at) + 1)});
  }
  return axes;
}

// Times so different that intervals are beyond the largest efficiency, and models' bands go from 0 to infinity.
TEST_F(with_gnuplot, axes_have_the_ends_of_intervals_but_not_of_bands) {
  StudyView view = amdahl_view();
  for (analysis::StudyPoint& point : view.points) {
    double factor = point.ranks == 4 ? 1.2 : 0.4;
    for (analysis::StudyRun& run : point.runs) run.time_s *= factor += 0.2;
  }
  view.points[3].runs[5].time_s = 1000;
  view.study = analysis::analyse(view.points);
  const analysis::StudyRow& row = view.study.rows[1];
  ASSERT_GT(row.scaling->efficiency.interval->upper, 1.2);
  const auto axes = y_axes(figures_gp(view));
  ASSERT_EQ(axes.size(), 3U);
  EXPECT_LT(axes[0].lower, row.time_s->interval->lower);
  EXPECT_LT(axes[1].lower, row.scaling->speedup.interval->lower);
  EXPECT_GT(axes[2].upper, row.scaling->efficiency.interval->upper);
  EXPECT_LE(axes[0].upper, 100) << "one run of 1000 s is not to make the rest small";
  EXPECT_LT(axes[2].upper, 4) << "nor are bands";
  EXPECT_THAT(figures_dat(view), HasSubstr(" Inf"));
  expect_figures(view);
}

TEST(gnuplot, points_have_one_mark_where_threads_tell_nothing) {
  EXPECT_THAT(figures_gp(amdahl_view()), Not(HasSubstr("a rank")));
  StudyView view = amdahl_view();
  for (analysis::StudyPoint& point : view.points) std::swap(point.ranks, point.threads);
  view.study = analysis::analyse(view.points);
  EXPECT_THAT(figures_gp(view), Not(HasSubstr("a rank")));
}

}  // namespace
}  // namespace echelon::report
