// src/base/stamp.cmake, as the build runs it, in checkouts of all kinds.
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/shell.hpp"
#include "support/temporary_folder.hpp"

namespace {

namespace fs = std::filesystem;
using testing::MatchesRegex;

class Stamp : public testing::Test {
 protected:
  Stamp() {
    fs::create_directories(checkout / "src/base");
    fs::copy_file(fs::path{ECHELON_PROJECT} / "src/base/version.cpp.in", checkout / "src/base/version.cpp.in");
  }

  /// What git says to a command in the checkout.
  [[nodiscard]] std::string git(const std::string& command) const {
    return echelon::test::output_of_shell("cd '" + checkout.string() +
                                          "' && git -c user.name=me -c user.email=me@here " + command);
  }
  void commit_all() const {
    (void)git("init --quiet");
    (void)git("add .");
    (void)git("commit --quiet --message x");
  }

  /// The commit in the version.cpp that the script writes, and whether the checkout differs from it.
  [[nodiscard]] std::string stamp(const std::string& environment = "") const {
    const fs::path out = folder.path() / "version.cpp";
    (void)echelon::test::output_of_shell(
        "env " + environment + " '" ECHELON_CMAKE "' -D 'SOURCE_DIR=" + checkout.string() +
        "' -D 'OUTPUT=" + out.string() + "' -P '" ECHELON_PROJECT "/src/base/stamp.cmake'");
    std::ostringstream text;
    text << std::ifstream{out}.rdbuf();
    const std::string all = text.str();
    std::smatch found;
    if (!std::regex_search(all, found, std::regex{R"re(R"stamp\((.*)\)stamp", (true|false))re"})) return all;
    return found.str(1) + (found.str(2) == "true" ? ", changed" : "");
  }

  echelon::test::TemporaryFolder folder;
  fs::path checkout = folder.path() / "a checkout";
};

TEST_F(Stamp, is_the_commit) {
  commit_all();
  EXPECT_EQ(stamp() + "\n", git("rev-parse --short=12 HEAD"));
  folder.write("a checkout/new", "");
  EXPECT_EQ(stamp() + "\n", git("rev-parse --short=12 HEAD")) << "what git does not know changes nothing";
}

TEST_F(Stamp, tells_that_files_have_changed) {
  folder.write("a checkout/file", "before");
  commit_all();
  folder.write("a checkout/file", "after!");
  EXPECT_THAT(stamp(), MatchesRegex("[0-9a-f]{12}, changed"));
}

TEST_F(Stamp, is_the_commit_where_the_folder_belongs_to_another_user) {
  commit_all();
  const std::string other = "GIT_TEST_ASSUME_DIFFERENT_OWNER=1";
  ASSERT_EQ(echelon::test::output_of_shell("cd '" + checkout.string() + "' && " + other + " git rev-parse HEAD 2>&1")
                .find("fatal: "),
            0U);
  EXPECT_EQ(stamp(other) + "\n", git("rev-parse --short=12 HEAD"));
}

TEST_F(Stamp, is_the_commit_of_a_worktree) {
  commit_all();
  (void)git("worktree add --quiet ../other");
  checkout = folder.path() / "other";
  EXPECT_EQ(stamp() + "\n", git("rev-parse --short=12 HEAD"));
}

TEST_F(Stamp, says_that_there_is_no_checkout) {
  EXPECT_EQ(stamp(), "unknown, built from no git checkout");
  checkout = folder.path() / "a checkout/tarball within";
  fs::create_directories(checkout / "src/base");
  fs::copy_file(fs::path{ECHELON_PROJECT} / "src/base/version.cpp.in", checkout / "src/base/version.cpp.in");
  EXPECT_EQ(stamp(), "unknown, built from no git checkout");
}

TEST_F(Stamp, says_that_git_is_not_installed) {
  commit_all();
  EXPECT_EQ(stamp("PATH=/nowhere"), "unknown, git was not installed");
}

TEST_F(Stamp, says_what_git_says) {
  folder.write("a checkout/.git", "gitdir: /nowhere\n");
  EXPECT_THAT(stamp(), MatchesRegex("unknown, git: fatal: not a git repository.*nowhere.*"));
}

}  // namespace
