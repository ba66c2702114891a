#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/map/results_folder.hpp>

#include "map/file_size_limit.hpp"
#include "map/played_run.hpp"
#include "support/gnu_parallel.hpp"
#include "support/shell.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::map {
namespace {

namespace fs = std::filesystem;
using std::string_literals::operator""s;
using test::contents;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::SizeIs;
using testing::StartsWith;

using Values = std::vector<std::string>;

std::string name_of(const std::string& value) {
  const std::string path = results_path("D", {value}).string();
  EXPECT_THAT(path, StartsWith("D/1/"));
  return path.substr(std::min<std::size_t>(4, path.size()));
}

TEST(results_path, has_a_level_for_each_input_and_its_value) {
  EXPECT_EQ(results_path("D", {"a"}), "D/1/a");
  EXPECT_EQ(results_path("/x/D", {"a", "b", "c"}), "/x/D/1/a/2/b/3/c");
  EXPECT_EQ(results_path("D/", {"a"}), "D/1/a");
  EXPECT_EQ(results_path("D", {}), "D");
}

TEST(results_path, an_empty_value_has_no_level_as_in_gnu_parallel) {
  EXPECT_EQ(results_path("D", {""}), "D/1");
  EXPECT_EQ(results_path("D", {"", "b"}), "D/1/2/b");
  EXPECT_EQ(results_path("D", {"a", ""}), "D/1/a/2");
}

TEST(results_path, escapes_what_no_name_can_have_and_nothing_else) {
  EXPECT_EQ(name_of("a/b"), "a\\_b");
  EXPECT_EQ(name_of("/"), "\\_");
  EXPECT_EQ(name_of("/etc/passwd"), "\\_etc\\_passwd");
  EXPECT_EQ(name_of("../../x"), "..\\_..\\_x");
  EXPECT_EQ(name_of("a\\b"), "a\\\\b");
  EXPECT_EQ(name_of("a\tb"), "a\\tb");
  EXPECT_EQ(name_of("\\_"), "\\\\_") << "not what / is";
  EXPECT_EQ(name_of("\\t"), "\\\\t");
  for (const char* value :
       {"a b", "a\nb", "\r", "\x1b[2J", "\xff\x80", "ö", "*?[x]", "'\"$(x)`", "-rf", ".x", "...", "x."}) {
    EXPECT_EQ(name_of(value), value);
  }
}

TEST(results_path, never_leaves_the_folder_of_its_input) {
  EXPECT_EQ(name_of("."), "\\.");
  EXPECT_EQ(name_of(".."), "\\..");
  EXPECT_EQ(results_path("D", {"..", ".."}), "D/1/\\../2/\\..");
  for (const char* value : {"..", "../x", "/x", "//x", "./..", "\\.."}) {
    const fs::path path = results_path("D", {value});
    EXPECT_EQ(std::distance(path.begin(), path.end()), 3) << value;
    EXPECT_EQ(path.lexically_normal(), path) << value;
  }
}

TEST(results_path, different_values_have_different_names) {
  const Values values{".",  "..",   "\\.", "\\..",  "/",   "\\_",     "\\/",   "\t",   "\\t",  "\\\\t", "_",  "t",
                      "\\", "\\\\", "a/b", "a\\_b", "a_b", "a\\\\_b", "a\\/b", "\\\t", "/\\_", "\\_/",  "//", "\\\\_"};
  std::set<std::string> names;
  for (const std::string& value : values) names.insert(name_of(value));
  EXPECT_THAT(names, SizeIs(values.size()));
}

TEST(results_path, a_name_as_long_as_can_be_is_kept) {
  EXPECT_EQ(name_of(std::string(255, 'x')), std::string(255, 'x'));
  EXPECT_EQ(name_of(std::string(127, '/') + "x").size(), 255U);
  EXPECT_EQ(name_of(std::string(127, '/') + "x").find_first_not_of("\\_"), 254U);
}

TEST(results_path, a_longer_name_keeps_its_beginning_and_ends_in_a_hash) {
  const std::string name = name_of(std::string(256, 'x'));
  EXPECT_EQ(name.size(), 255U);
  EXPECT_THAT(name, StartsWith(std::string(238, 'x') + "\\"));
  EXPECT_EQ(name.find_first_not_of("0123456789abcdef", 239), std::string::npos);
  // The same in every run and on every machine: a run that is resumed finds its files.
  EXPECT_THAT(name_of(std::string(300, 'x')), EndsWith("x\\e78ddf9f1ba85555"));
  std::set<std::string> names;
  const std::string megabyte(1U << 20U, 'x');
  for (const char* end : {"a", "b", "/", "\\", "ab", ""}) names.insert(name_of(megabyte + end));
  EXPECT_THAT(names, SizeIs(6));
}

TEST(results_path, a_long_name_is_not_cut_within_a_character) {
  for (std::size_t shift = 0; shift < 5; ++shift) {
    for (const std::string character : {"é", "€", "😀"}) {
      std::string value(shift, 'x');
      while (value.size() < 400) value += character;
      const std::string name = name_of(value);
      const std::size_t kept = name.rfind('\\');
      EXPECT_EQ((kept - shift) % character.size(), 0U) << name;
      EXPECT_LE(name.size(), 255U);
      EXPECT_GE(name.size(), 252U);
    }
  }
  const std::string no_text(400, '\x80');  // nothing to cut at
  EXPECT_LE(name_of(no_text).size(), 255U);
  EXPECT_GE(name_of(no_text).size(), 252U);
}

class ResultsFolderTest : public testing::Test {
 protected:
  test::TemporaryFolder folder;
  fs::path dir = folder.path() / "results";

  /// All files and folders below, and what files hold.
  [[nodiscard]] std::map<std::string, std::string> tree() const {
    std::map<std::string, std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator{dir}) {
      const std::string name = entry.path().lexically_relative(dir);
      if (entry.is_regular_file()) {
        found[name] = contents(entry.path());
      } else {
        found[name + "/"];
      }
    }
    return found;
  }
};

TEST_F(ResultsFolderTest, each_task_has_its_three_files) {
  const ResultsFolder results{dir};
  const std::string binary = "\0out\n\xff\r\n"s;
  results.write({"a/b", "2"}, 7, binary, "err without end");
  results.write({"c", "2"}, 12, std::string_view{}, std::string_view{});
  const std::map<std::string, std::string> expected{
      {"1/", ""},
      {"1/a\\_b/", ""},
      {"1/a\\_b/2/", ""},
      {"1/a\\_b/2/2/", ""},
      {"1/a\\_b/2/2/stdout", binary},
      {"1/a\\_b/2/2/stderr", "err without end"},
      {"1/a\\_b/2/2/seq", "7"},
      {"1/c/", ""},
      {"1/c/2/", ""},
      {"1/c/2/2/", ""},
      {"1/c/2/2/stdout", ""},
      {"1/c/2/2/stderr", ""},
      {"1/c/2/2/seq", "12"},
  };
  EXPECT_EQ(tree(), expected);
}

TEST_F(ResultsFolderTest, folders_are_made_where_they_are_not) {
  const ResultsFolder results{folder.path() / "x" / "y" / "results"};
  EXPECT_TRUE(fs::is_directory(folder.path() / "x" / "y" / "results"));
}

TEST_F(ResultsFolderTest, files_of_an_earlier_run_are_replaced_and_others_left) {
  ResultsFolder{dir}.write({"a"}, 1, "a long output of the first run", "an error");
  ResultsFolder{dir}.write({"b"}, 2, "of b", "");
  test::replace(dir / "1" / "a" / "of-a-user", "precious");
  ResultsFolder{dir}.write({"a"}, 3, "short", "");
  EXPECT_EQ(contents(dir / "1" / "a" / "stdout"), "short");
  EXPECT_EQ(contents(dir / "1" / "a" / "stderr"), "");
  EXPECT_EQ(contents(dir / "1" / "a" / "seq"), "3");
  EXPECT_EQ(contents(dir / "1" / "a" / "of-a-user"), "precious");
  EXPECT_EQ(contents(dir / "1" / "b" / "stdout"), "of b");
}

TEST_F(ResultsFolderTest, what_somebody_reads_meanwhile_stays_whole) {
  const ResultsFolder results{dir};
  results.write({"a"}, 1, "old", "");
  const int reader = open((dir / "1" / "a" / "stdout").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  results.write({"a"}, 1, "NEW", "");
  char text[4] = {};
  EXPECT_EQ(read(reader, text, 3), 3);
  EXPECT_STREQ(text, "old");
  close(reader);
}

TEST_F(ResultsFolderTest, parts_of_files_are_copied) {
  std::string spool;
  for (int i = 0; spool.size() < 700'000; ++i) spool += std::to_string(i) + "\n";  // more than two blocks
  folder.write("spool", spool);
  const int file = open((folder.path() / "spool").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(file, 0);
  const ResultsFolder results{dir};
  results.write({"a"}, 1, FilePart{file, 5, 600'000}, FilePart{file, 3, 0});
  EXPECT_TRUE(contents(dir / "1" / "a" / "stdout") == spool.substr(5, 600'000));
  EXPECT_EQ(contents(dir / "1" / "a" / "stderr"), "");
  results.write({"b"}, 1, FilePart{}, FilePart{});
  EXPECT_EQ(contents(dir / "1" / "b" / "stdout"), "");
  try {
    results.write({"c"}, 1, FilePart{file, 10, spool.size()}, FilePart{});
    ADD_FAILURE() << "the file is shorter than that";
  } catch (const std::system_error& e) {
    EXPECT_THAT(e.what(), AllOf(HasSubstr("the output that is to go to " + (dir / "1" / "c" / "stdout").string()),
                                HasSubstr("is shorter than it was")));
  }
  EXPECT_TRUE(fs::is_empty(dir / "1" / "c"));
  close(file);
}

TEST_F(ResultsFolderTest, any_value_makes_files_that_can_be_found_by_its_path) {
  const ResultsFolder results{dir};
  const Values values{"/etc/passwd", "..", ".", "a\nb", "\xff\xfe", std::string(1U << 20U, 'y'), "\\", "\t", " "};
  for (std::size_t i = 0; i < values.size(); ++i) results.write({values[i], values[i]}, i + 1, values[i], "");
  for (const std::string& value : values) {
    EXPECT_TRUE(contents(results_path(dir, {value, value}) / "stdout") == value) << value.substr(0, 20);
  }
  EXPECT_EQ(std::distance(fs::directory_iterator{folder.path()}, {}), 1) << "nothing is beside the folder";
}

TEST_F(ResultsFolderTest, a_folder_that_cannot_be_is_refused_before_anything_runs) {
  folder.write("file", "");
  const fs::path below_a_file = folder.path() / "file" / "x";
  for (const fs::path& path : {below_a_file, folder.path() / "file"}) {
    try {
      const ResultsFolder results{path};
      ADD_FAILURE() << path << " was taken";
    } catch (const base::UsageError& e) {
      EXPECT_EQ(e.what(), "--results " + path.string() +
                              ": cannot be written: Not a directory; name a folder that can be made or is there");
    }
  }
  EXPECT_THROW((ResultsFolder{folder.path() / std::string(300, 'x')}), base::UsageError);
}

TEST_F(ResultsFolderTest, a_task_whose_folder_cannot_be_made_is_an_error_with_its_path) {
  const ResultsFolder results{dir};
  test::replace(dir / "1", "a file");
  try {
    results.write({"a"}, 1, "x", "");
    ADD_FAILURE() << "it was written";
  } catch (const std::system_error& e) {
    EXPECT_EQ(e.what(), "cannot make " + (dir / "1" / "a").string() + ": Not a directory");
  }
}

TEST_F(ResultsFolderTest, a_file_whose_name_is_taken_by_a_folder_is_an_error) {
  const ResultsFolder results{dir};
  fs::create_directories(dir / "1" / "a" / "stdout");
  try {
    results.write({"a"}, 1, "x", "");
    ADD_FAILURE() << "it was written";
  } catch (const std::system_error& e) {
    EXPECT_EQ(e.what(), "cannot make " + (dir / "1" / "a" / "stdout").string() + ": Is a directory");
  }
  EXPECT_EQ(tree(), (std::map<std::string, std::string>{{"1/", ""}, {"1/a/", ""}, {"1/a/stdout/", ""}}));
}

TEST_F(ResultsFolderTest, a_file_that_does_not_fit_leaves_nothing_of_itself) {
  const ResultsFolder results{dir};
  results.write({"a"}, 1, "old", "old");
  const std::string text(100'000, 'x');
  try {
    const test::FileSizeLimit limit{10'000};
    results.write({"a"}, 1, text, "new");
    ADD_FAILURE() << "it was written";
  } catch (const std::system_error& e) {
    EXPECT_EQ(e.what(), "cannot write " + (dir / "1" / "a" / "stdout").string() + ": " + std::strerror(EFBIG));
    EXPECT_EQ(e.code().value(), EFBIG);
  }
  const std::map<std::string, std::string> expected{
      {"1/", ""}, {"1/a/", ""}, {"1/a/stdout", "old"}, {"1/a/stderr", "old"}, {"1/a/seq", "1"}};
  EXPECT_EQ(tree(), expected);
}

/// Values that the two name alike.
TEST_F(ResultsFolderTest, is_that_of_gnu_parallel) {
  if (test::output_of_shell("command -v parallel").empty()) GTEST_SKIP() << "GNU parallel is not installed";
  Values firsts{"plain", "a/b", "c\\d", "t\tb", "", " two  blanks ", "new\nline", "ö\xff", ".x", "*"};
  Values seconds{"1", "", "x/y", "z"};
  for (Values* values : {&firsts, &seconds}) std::erase_if(*values, std::not_fn(test::names_results_alike));
  std::string first_list;
  std::string second_list;
  for (const std::string& value : firsts) first_list += value + '\0';
  for (const std::string& value : seconds) second_list += value + '\0';
  folder.write("firsts", first_list);
  folder.write("seconds", second_list);
  const std::string in = "cd '" + folder.path().string() + "' && ";
  (void)test::output_of_shell(in +
                              "parallel --will-cite -0 -k -j1 --results theirs 'printf %s {1}{2}; echo e >&2' "
                              ":::: firsts seconds >out 2>&1");
  const ResultsFolder results{dir};
  std::uint64_t number = 0;
  for (const std::string& first : firsts) {
    for (const std::string& second : seconds) results.write({first, second}, ++number, first + second, "e\n");
  }
  EXPECT_EQ(test::output_of_shell(in + "diff -r theirs results 2>&1"), "");
}

}  // namespace
}  // namespace echelon::map
