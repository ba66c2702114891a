#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/record_of.hpp"
#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

std::vector<std::string> words(const std::string& line) {
  std::istringstream in{line};
  std::vector<std::string> result;
  for (std::string word; in >> word;) result.push_back(word);
  return result;
}

class report : public testing::Test {
 protected:
  report() {
    for (const char* ranks : {"1", "2"}) {
      const Outcome outcome = run_echelon({"-n", ranks, "pi", "--points", "1e8", "--repeat", "3", "--quiet", "--json",
                                           "pi-" + std::string{ranks} + ".json"},
                                          {.folder = folder_.path()});
      EXPECT_EQ(outcome.exit_code, 0) << outcome;
    }
  }

  Outcome run(const Arguments& files, const std::string& output = "") {
    return run_echelon(Arguments{"report"} + files, {.folder = folder_.path(), .output_file = output});
  }

  TemporaryFolder folder_;
};

TEST_F(report, two_runs_make_a_scaling_table) {
  const Outcome outcome = run({"pi-1.json", "pi-2.json"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.err, "");
  const std::vector<std::string> table = lines(outcome.out);
  ASSERT_EQ(table.size(), 3U) << outcome;
  EXPECT_THAT(words(table[0]), testing::IsSupersetOf({"ranks", "threads", "time", "speedup", "efficiency"}));
  const std::vector<std::string> one = words(table[1]);
  const std::vector<std::string> two = words(table[2]);
  ASSERT_GE(one.size(), 8U) << outcome;
  ASSERT_GE(two.size(), 8U) << outcome;
  EXPECT_EQ(one[0], "1");
  EXPECT_EQ(two[0], "2");
  // Against itself.
  EXPECT_EQ(one[3], "1.00");
  EXPECT_EQ(one[4], "1.000");
  // To the digits that are shown: speedup is the times' ratio, and efficiency half of it.
  const double speedup = std::stod(one[2]) / std::stod(two[2]);
  EXPECT_NEAR(std::stod(two[3]), speedup, 0.006 + speedup * 0.00006 / std::stod(two[2]));
  EXPECT_NEAR(std::stod(two[4]), std::stod(two[3]) / 2, 0.004);
  EXPECT_EQ(one[7], "3");
}

TEST_F(report, order_of_the_files_does_not_matter) {
  EXPECT_EQ(run({"pi-2.json", "pi-1.json"}).out, run({"pi-1.json", "pi-2.json"}).out);
}

TEST_F(report, one_record_is_its_own_baseline) {
  const Outcome outcome = run({"pi-2.json"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  const std::vector<std::string> table = lines(outcome.out);
  ASSERT_EQ(table.size(), 2U) << outcome;
  EXPECT_EQ(words(table[1]).at(0), "2");
  EXPECT_EQ(words(table[1]).at(3), "1.00");
}

TEST_F(report, bad_file_among_good_ones_is_named) {
  folder_.write("bad.json", "{");
  const Outcome outcome = run({"pi-1.json", "bad.json", "pi-2.json"});
  EXPECT_EQ(outcome.exit_code, 2) << outcome;
  EXPECT_EQ(outcome.out, "");
  ASSERT_EQ(lines(outcome.err).size(), 1U) << outcome;
  EXPECT_THAT(outcome.err, testing::HasSubstr("'bad.json'"));
}

TEST_F(report, folder_without_a_study_and_records_beside_one_are_named) {
  std::filesystem::create_directory(folder_.path() / "s1");
  expect_refused(run({"s1"}), {"'s1' has no study; give a folder that echelon study wrote"});
  folder_.write("s2/plan.json", "{}");
  expect_refused(run({"s2", "pi-1.json"}), {"'pi-1.json' is no folder: studies and records make no report together"});
}

TEST_F(report, records_of_different_work_are_refused) {
  ASSERT_EQ(run_echelon({"pi", "--points", "1e6", "--json", "other.json"}, {.folder = folder_.path()}).exit_code, 0);
  const Outcome outcome = run({"pi-1.json", "other.json"});
  EXPECT_EQ(outcome.exit_code, 2) << outcome;
  EXPECT_EQ(outcome.out, "");
  ASSERT_EQ(lines(outcome.err).size(), 1U) << outcome;
  EXPECT_THAT(outcome.err, testing::HasSubstr("other.json"));
}

TEST_F(report, full_standard_output_is_one_line_and_the_code_for_broken) {
  const Outcome outcome = run({"pi-1.json"}, "/dev/full");
  EXPECT_EQ(outcome.exit_code, 4) << outcome;
  EXPECT_EQ(lines(outcome.err).size(), 1U) << outcome;
}

}  // namespace
}  // namespace echelon::test
