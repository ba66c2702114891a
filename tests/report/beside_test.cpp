#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/report/beside.hpp>

namespace echelon::report {
namespace {

using testing::HasSubstr;
using testing::SizeIs;
using testing::ThrowsMessage;

TEST(parse_beside, takes_columns_by_their_names_and_medians_of_repetitions) {
  const Beside beside = parse_beside(
      "# A paper, table 2 \r\n# more\n\nhost,cpu_percent, ranks "
      ",elapsed_s\r\na,99,1,8\nb,,1,10\nc,101,1,9\n\nd,350,4,3\n",
      "file");
  EXPECT_EQ(beside.title, "A paper, table 2");
  EXPECT_TRUE(beside.is_elapsed);
  ASSERT_THAT(beside.rows, SizeIs(2));
  EXPECT_EQ(beside.rows[0].processors, 1);
  EXPECT_EQ(beside.rows[0].time_s, 9);
  EXPECT_EQ(beside.rows[0].cpu_percent, 100);
  EXPECT_EQ(beside.rows[1].processors, 4);
  EXPECT_EQ(beside.rows[1].time_s, 3);
}

TEST(parse_beside, needs_no_title_and_no_cpu_percent) {
  const Beside beside = parse_beside("processors,time_s\n2,1.5", "paper.csv");
  EXPECT_EQ(beside.title, "paper.csv");
  EXPECT_FALSE(beside.is_elapsed);
  ASSERT_THAT(beside.rows, SizeIs(1));
  EXPECT_FALSE(beside.rows[0].cpu_percent.has_value());
}

TEST(parse_beside, passes_over_a_spreadsheets_mark) {
  EXPECT_THAT(parse_beside("\xef\xbb\xbfranks,elapsed_s\n1,8\n", "file").rows, SizeIs(1));
  EXPECT_EQ(parse_beside("\xef\xbb\xbf# A title\nranks,elapsed_s\n1,8\n", "file").title, "A title");
}

TEST(parse_beside, says_what_is_wrong_and_where) {
  const auto expect = [](const char* csv, const char* message) {
    EXPECT_THAT([&] { (void)parse_beside(csv, "file"); }, ThrowsMessage<std::runtime_error>(HasSubstr(message))) << csv;
  };
  expect("", "it has no figures");
  expect("# only a title\n", "it has no figures");
  expect("ranks,elapsed_s\n", "it has no figures");
  expect("cores,elapsed_s\n1,2\n", "line 1: no column 'ranks'");
  expect("ranks,seconds\n1,2\n", "line 1: no column 'elapsed_s'");
  expect("ranks,elapsed_s\n1,2\n2\n", "line 3: 1 cells, the header has 2");
  for (const char* bad : {"x", "", "-1", "0", "nan", "inf", "1 2", "0x1"}) {
    expect(("ranks,elapsed_s\n1," + std::string{bad} + "\n").c_str(), "line 2: '");
  }
}

TEST(beside_rows, each_side_scales_against_its_own_fewest_processors) {
  analysis::Study study;
  const auto row = [](std::uint64_t processors, double time_s, double elapsed_s) {
    analysis::StudyRow made{.processors = processors};
    made.time_s = analysis::Estimate{time_s, {}};
    made.elapsed_s = elapsed_s;
    made.cpu_percent = 90;
    return made;
  };
  study.rows = {row(2, 6, 8), row(4, 4, 5), row(4, 3, 4), analysis::StudyRow{.processors = 8}};
  Beside beside{.title = "", .is_elapsed = true, .rows = {{1, 100, 99}, {4, 50}}};
  const auto rows = beside_rows(study, beside);
  ASSERT_THAT(rows, SizeIs(3));
  EXPECT_EQ(rows[0].processors, 1);
  EXPECT_FALSE(rows[0].study.has_value());
  EXPECT_EQ(rows[0].other->speedup, 1);
  EXPECT_EQ(rows[0].other->cpu_percent, 99);
  EXPECT_EQ(rows[1].study->time_s, 8);
  EXPECT_EQ(rows[1].study->speedup, 1);
  EXPECT_FALSE(rows[1].other.has_value());
  EXPECT_EQ(rows[2].study->time_s, 4) << "the faster of two with as many processors";
  EXPECT_EQ(rows[2].study->speedup, 2);
  EXPECT_EQ(rows[2].study->efficiency, 1);
  EXPECT_EQ(rows[2].study->cpu_percent, 90);
  EXPECT_EQ(rows[2].other->speedup, 2);
  EXPECT_EQ(rows[2].other->efficiency, 0.5);
  beside.is_elapsed = false;
  EXPECT_EQ(beside_rows(study, beside)[2].study->time_s, 3) << "its own time where the others' is";
}

}  // namespace
}  // namespace echelon::report
