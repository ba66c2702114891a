#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <echelon/report/html.hpp>

#include "report/studies.hpp"

namespace echelon::report {
namespace {

using nlohmann::json;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// The text of the script element with the data, as an HTML parser sees it: up to the first "</script".
std::string data_text(const std::string& page) {
  constexpr std::string_view head = R"(<script type="application/json" id="data">)";
  const std::size_t begin = page.find(head) + head.size();
  return page.substr(begin, page.find("</script", begin) - begin);
}

json data(const std::string& page) { return json::parse(data_text(page)); }

std::size_t count(std::string_view text, std::string_view what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + what.size())) ++found;
  return found;
}

TEST(study_html, is_one_page_with_everything_in_it) {
  const std::string page = study_html(studies::make());
  EXPECT_THAT(page, StartsWith("<!DOCTYPE html>"));
  EXPECT_THAT(page, HasSubstr("Chart.js v3"));
  EXPECT_THAT(page, HasSubstr("Released under the MIT License"));
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  EXPECT_THAT(page, HasSubstr("prefers-color-scheme"));
  EXPECT_THAT(page, HasSubstr("@media print"));
  EXPECT_EQ(count(page, "<script"), 3U);
  EXPECT_EQ(count(page, "</script"), 3U);
}

TEST(study_html, refers_to_nothing_elsewhere) {
  const std::string page = study_html(studies::make());
  for (const char* reference : {"src=", "<link", "<iframe", "<img", "@import", "url(", "XMLHttpRequest", "fetch("}) {
    EXPECT_THAT(page, Not(HasSubstr(reference)));
  }
  EXPECT_EQ(count(page, "http://"), 0U);
  // In the comments of Chart.js with its licence.
  EXPECT_EQ(count(page, "https://"),
            count(page, "https://www.chartjs.org") + count(page, "https://github.com/kurkle/color"));
  EXPECT_THAT(page, Not(HasSubstr("innerHTML")));
}

TEST(study_html, has_the_figures_of_the_study) {
  const StudyView view = studies::make();
  const json d = data(study_html(view, "| a |", "\\begin{tabular}"));
  EXPECT_EQ(d["title"], view.title);
  EXPECT_EQ(d["command_line"], view.command_line);
  EXPECT_EQ(d["scaling"], "strong");
  EXPECT_EQ(d["markdown"], "| a |");
  EXPECT_EQ(d["latex"], "\\begin{tabular}");
  ASSERT_EQ(d["rows"].size(), view.study.rows.size());
  for (std::size_t i = 0; i < view.study.rows.size(); ++i) {
    const analysis::StudyRow& row = view.study.rows[i];
    EXPECT_EQ(d["rows"][i]["time_s"]["value"], row.time_s->value);
    EXPECT_EQ(d["rows"][i]["time_s"]["interval"]["lower"], row.time_s->interval->lower);
    EXPECT_EQ(d["rows"][i]["scaling"]["speedup"]["value"], row.scaling->speedup.value);
    EXPECT_EQ(d["rows"][i]["pop"]["load_balance"]["value"], row.pop->load_balance.value);
    const json& ranks = d["records"][row.point]["ranks"];
    ASSERT_EQ(ranks["compute_s"].size(), row.ranks);
    for (std::size_t r = 0; r < row.ranks; ++r) {
      const measure::RankRecord& rank = view.records[row.point]->ranks[r];
      EXPECT_EQ(ranks["wait_s"][r], rank.wait_s);
      EXPECT_EQ(ranks["host"]["values"][ranks["host"]["index"][r].get<std::size_t>()], rank.host);
    }
  }
  EXPECT_EQ(d["runs"].size(), view.runs.size());
  EXPECT_EQ(d["points"][2]["runs"][3]["time_s"], view.points[2].runs[3].time_s);
}

TEST(study_html, models_have_curves_up_to_the_limit_of_extrapolation) {
  const StudyView view = studies::make();
  const json d = data(study_html(view));
  ASSERT_EQ(d["models"].size(), 3U);
  for (std::size_t m = 0; m < 3; ++m) {
    const json& curve = d["models"][m]["curve"];
    EXPECT_EQ(curve.front()[0], 1.0);
    EXPECT_EQ(curve.back()[0], view.study.extrapolation_limit);
    EXPECT_EQ(curve.back()[1], view.study.models[m].predict(view.study.extrapolation_limit).time_s);
    EXPECT_EQ(curve.back().size(), 4U) << "with its interval";
  }
}

TEST(study_html, sums_up_in_words) {
  const json d = data(study_html(studies::make()));
  EXPECT_THAT(
      d["summary"][0].get<std::string>(),
      ContainsRegex("On 64 ranks, pi --points 1e11 is 31.. .95.*to 31.*times as fast as on 1 rank: an efficiency of "
                    "48.."));
  EXPECT_THAT(d["summary"][1].get<std::string>(), HasSubstr("up to 16 ranks"));
  EXPECT_THAT(d["summary"][2].get<std::string>(), HasSubstr("computation scalability"));
  EXPECT_THAT(d["summary"][3].get<std::string>(), HasSubstr("universal scalability"));
}

std::string model_sentence(const StudyView& view) { return data(study_html(view))["summary"].back(); }

TEST(study_html, says_where_the_best_model_was_wrong) {
  EXPECT_THAT(model_sentence(studies::make()), Not(HasSubstr("outside of its interval")));
  // Times that no model describes: twice as long on the most processors.
  StudyView view = studies::make({.coherency = 0});
  for (analysis::StudyRun& run : view.points.back().runs) run.time_s *= 2;
  view.study = studies::analysed(view.points, analysis::Scaling::strong);
  ASSERT_TRUE(view.study.preferred);
  EXPECT_THAT(
      model_sentence(view),
      ContainsRegex("fitted without the points on 64 processors it predicts [0-9.]+.* too little there, outside "
                    "of its interval: do not rely"));
}

TEST(study_html, says_that_a_serial_fraction_is_at_its_bound) {
  EXPECT_THAT(model_sentence(studies::make()), Not(HasSubstr("its bound")));
  const StudyView view = studies::make({.ranks = {1, 2, 4, 8, 12, 16}, .serial = -0.03, .coherency = 0});
  EXPECT_THAT(model_sentence(view),
              HasSubstr("with a serial fraction of 0.00\u00a0%, its bound, beyond which the times"));
}

TEST(study_html, hostile_text_stays_text) {
  const StudyView view = studies::hostile();
  const std::string page = study_html(view, view.title, view.title);
  EXPECT_EQ(count(page, "<script"), 3U);
  EXPECT_EQ(count(page, "</script"), 3U);
  EXPECT_EQ(count(page, "<img"), 0U);
  EXPECT_THAT(data_text(page), Not(HasSubstr("<")));
  EXPECT_THAT(page, HasSubstr("<title>&lt;/script&gt;&lt;script&gt;window.attacked=1"));
  // All of it is there, but what is not UTF-8 is U+FFFD.
  const json d = data(page);
  std::string expected = view.title;
  expected.replace(expected.find("\xff\xfe\xc0"), 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(d["title"], expected);
  EXPECT_EQ(d["latex"], expected);
  EXPECT_EQ(d["runs"].back()["error"], expected);
}

TEST(study_html, numbers_that_are_not_finite_are_words_or_null) {
  const json d = data(study_html(studies::hostile()));
  EXPECT_EQ(d["rows"][1]["time_s"]["interval"]["upper"], "Infinity");
  EXPECT_TRUE(d["rows"][2]["node_hours"].is_null());
  EXPECT_TRUE(d["records"][0]["ranks"]["compute_s"][0].is_null());
}

TEST(study_html, studies_without_points_or_times_have_a_page) {
  StudyView view;
  view.title = "nothing";
  json d = data(study_html(view));
  EXPECT_TRUE(d["baseline"].is_null());
  EXPECT_TRUE(d["rows"].empty());
  EXPECT_THAT(d["summary"][0].get<std::string>(), HasSubstr("No run succeeded"));

  view.points = {{.ranks = 4}};
  view.records.resize(1);
  studies::add_failure(view, 0, "exit status 1");
  d = data(study_html(view));
  EXPECT_TRUE(d["rows"][0]["time_s"].is_null());
  EXPECT_TRUE(d["records"][0].is_null());
  EXPECT_EQ(d["rows"][0]["failures"], 1);
  EXPECT_EQ(d["runs"][0]["error"], "exit status 1");

  d = data(study_html(studies::make({.ranks = {2}, .repetitions = 1, .records = false})));
  EXPECT_THAT(d["summary"][0].get<std::string>(), HasSubstr("Only one point has times"));
}

TEST(study_html, weak_scaling_is_said) {
  const json d = data(study_html(studies::make({.weak = true})));
  EXPECT_EQ(d["scaling"], "weak");
  EXPECT_EQ(d["weak"], "1e9 * p");
  EXPECT_EQ(d["models"][0]["name"], "Gustafson");
  EXPECT_THAT(d["summary"][0].get<std::string>(), HasSubstr("with the work in proportion"));
}

// The issue's limit: ten points of 20 repetitions and 1,024 ranks are below 5 MiB.
TEST(study_html, a_thousand_ranks_are_below_five_mebibytes) {
  const std::vector<std::uint64_t> ranks{1015, 1016, 1017, 1018, 1019, 1020, 1021, 1022, 1023, 1024};
  EXPECT_LT(study_html(studies::make({.ranks = ranks, .repetitions = 20})).size(), 5U << 20);
}

}  // namespace
}  // namespace echelon::report
