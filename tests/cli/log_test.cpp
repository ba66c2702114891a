#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/record_of.hpp"
#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::MatchesRegex;

std::string read(const std::filesystem::path& path) {
  std::ifstream in{path};
  EXPECT_TRUE(in) << path;
  return {std::istreambuf_iterator<char>{in}, {}};
}

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator{folder}) names.push_back(entry.path().filename());
  std::ranges::sort(names);
  return names;
}

TEST(log, file_has_every_line_and_the_table_says_so) {
  const TemporaryFolder folder;
  const Outcome outcome = run_echelon({"-n", "3", "log", "--lines", "200", "run.log"}, {.folder = folder.path()});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  expect_only_notes(outcome);
  const std::vector<std::string> table = lines(outcome.out);
  ASSERT_EQ(table.size(), 9U) << outcome.out;
  EXPECT_EQ(table[0], "run.log: 600 lines whole and once, of 600; 0 torn, double or out of order");
  EXPECT_THAT(table[1], MatchesRegex("600 lines in [0-9.]+ s, [0-9.e]+ lines/s   3 ranks"));
  EXPECT_THAT(table[3], MatchesRegex("rank  host +cpus +lines +compute s +communicate s +wait s +cpu % +lines/s"));
  EXPECT_THAT(names_in(folder.path()), ElementsAre("run.log"));
  std::vector<std::string> found = lines(read(folder.path() / "run.log"));
  std::vector<std::string> expected;
  for (int rank = 0; rank < 3; ++rank) {
    for (int line = 1; line <= 200; ++line) {
      expected.push_back("rank " + std::to_string(rank) + " line " + std::to_string(line) + " of 200");
    }
  }
  EXPECT_THAT(found, testing::UnorderedElementsAreArray(expected));
}

TEST(log, file_that_is_there_is_kept_unless_forced) {
  const TemporaryFolder folder;
  const RunOptions here{.folder = folder.path()};
  for (const char* name : {"run.log", "run.log.partial"}) {
    folder.write(name, "before\n");
    for (const Arguments& start : {Arguments{}, Arguments{"-n", "2"}}) {
      expect_refused(run_echelon(start + Arguments{"log", "run.log"}, here), {name, "is there already", "--force"});
      EXPECT_EQ(read(folder.path() / name), "before\n");
      EXPECT_THAT(names_in(folder.path()), ElementsAre(name));
    }
    const Outcome forced = run_echelon({"-n", "2", "log", "--force", "--lines", "5", "--quiet", "run.log"}, here);
    EXPECT_EQ(forced.exit_code, 0) << forced;
    EXPECT_EQ(forced.out, "10\n");
    EXPECT_THAT(names_in(folder.path()), ElementsAre("run.log"));
    EXPECT_EQ(lines(read(folder.path() / "run.log")).size(), 10U);
    std::filesystem::remove(folder.path() / "run.log");
  }
}

TEST(log, no_lines_make_an_empty_file) {
  const TemporaryFolder folder;
  const Outcome outcome =
      run_echelon({"-n", "2", "log", "--lines", "0", "--quiet", "run.log"}, {.folder = folder.path()});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.out, "0\n");
  EXPECT_EQ(read(folder.path() / "run.log"), "");
}

/// A disk with so little room as a limit on the size of files leaves; MPI's own files are smaller than that.
Outcome run_on_full_disk(const Arguments& arguments, const TemporaryFolder& folder, const std::string& blocks) {
  std::string command = "trap '' XFSZ; ulimit -f " + blocks + "; exec " ECHELON_PROGRAM;
  for (const std::string& argument : arguments) command += " " + argument;
  return run_program({"sh", "-c", command}, alone({.folder = folder.path()}));
}

TEST(log, full_disk_is_one_line_the_code_for_broken_and_leaves_no_file) {
  const TemporaryFolder folder;
  const Arguments log{"log", "--lines", "500000", "run.log"};
  constexpr const char* line = "echelon: rank [0-9]+ on .*: cannot append to run.log.partial: .*\n";
  for (const auto& [start, blocks] : {std::pair{Arguments{}, "16"}, {Arguments{"-n", "2"}, "12000"}}) {
    const Outcome outcome = run_on_full_disk(start + log, folder, blocks);
    EXPECT_EQ(outcome.exit_code, 4) << outcome;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, MatchesRegex(line)) << outcome;
    EXPECT_EQ(lines(outcome.err).size(), 1U) << outcome;
    EXPECT_THAT(names_in(folder.path()), IsEmpty());
  }
}

TEST(log, record_has_what_was_found) {
  const TemporaryFolder folder;
  const json record =
      record_of({"-n", "2", "log", "--lines", "100", "--repeat", "3", "run.log"}, {.folder = folder.path()});
  ASSERT_TRUE(record.is_object());
  EXPECT_EQ(record["command"], "log");
  EXPECT_EQ(record["parameters"]["lines"], 100);
  EXPECT_EQ(record["result"]["file"], "run.log");
  EXPECT_EQ(record["result"]["expected"], 200);
  EXPECT_EQ(record["result"]["found"], 200);
  EXPECT_EQ(record["result"]["wrong"], 0);
  EXPECT_EQ(record["result"]["bytes"], std::filesystem::file_size(folder.path() / "run.log"));
  EXPECT_EQ(record["repetitions_s"].size(), 3U);
  for (const json& rank : record["ranks"]) EXPECT_EQ(rank["items"], 300);
}

TEST(log, works_where_each_rank_has_a_node_of_its_own) {
  const TemporaryFolder folder;
  const Outcome outcome = run_echelon({"-n", "3", "log", "--lines", "100", "--quiet", "run.log"},
                                      {.environment = {{"ECHELON_RANKS_A_NODE", "1"}}, .folder = folder.path()});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.out, "300\n");
}

}  // namespace
}  // namespace echelon::test
