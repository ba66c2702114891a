// tests/examples/programs.md, against the folder that it stands in: no row without its program, no program without a
// row.
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

namespace fs = std::filesystem;

const fs::path project = ECHELON_PROJECT;
const fs::path examples = project / "tests/examples";
constexpr int last_row = 19;

struct Row {
  std::string number;
  std::string shows;
  std::string example;  ///< a path from tests/examples
  std::string command;  ///< of echelon; may be empty
};

std::vector<Row> rows() {
  static const std::regex line{R"(\| (\d+|-) \| ([^|]+) \| `([^`|]+)` \| (?:`([^`|]+)` )?\|)"};
  std::vector<Row> found;
  std::ifstream in{examples / "programs.md"};
  for (std::string text; std::getline(in, text);) {
    if (std::smatch match; std::regex_match(text, match, line))
      found.push_back({match[1], match[2], match[3], match[4]});
  }
  return found;
}

std::string two_digits(const std::string& number) { return (number.size() < 2 ? "0" : "") + number; }

}  // namespace

TEST(Programs, every_line_of_the_table_is_understood) {
  std::ifstream in{examples / "programs.md"};
  std::size_t lines = 0;
  for (std::string text; std::getline(in, text);) lines += text.starts_with("|") ? 1 : 0;
  EXPECT_EQ(rows().size() + 2, lines) << "all but its head";
}

TEST(Programs, every_row_is_there_once) {
  std::multiset<std::string> numbers;
  for (const Row& row : rows()) numbers.insert(row.number);
  for (int row = 1; row <= last_row; ++row) EXPECT_EQ(numbers.count(std::to_string(row)), 1U) << "row " << row;
}

TEST(Programs, every_row_has_its_example) {
  for (const Row& row : rows()) {
    EXPECT_TRUE(fs::is_regular_file(examples / row.example)) << row.number << ": " << row.example;
    if (row.number == "-" || row.number == std::to_string(last_row)) continue;  // the last: peers, which are no example
    EXPECT_TRUE(row.example.starts_with("row" + two_digits(row.number) + "_")) << row.number << ": " << row.example;
  }
}

TEST(Programs, every_example_is_in_the_table) {
  std::set<std::string> named;
  for (const Row& row : rows()) named.insert(row.example);
  for (const auto& entry : fs::directory_iterator{examples}) {
    const std::string name = entry.path().filename();
    if (!name.ends_with(".cpp") || name == "output_test.cpp") continue;
    EXPECT_TRUE(named.contains(name)) << name;
  }
}

TEST(Programs, commands_are_there) {
  for (const Row& row : rows()) {
    if (row.command.empty()) continue;
    EXPECT_TRUE(fs::is_regular_file(project / "src/cli" / (row.command + ".cpp"))) << row.number << ": " << row.command;
  }
}
