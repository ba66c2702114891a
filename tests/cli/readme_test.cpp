// What README.md shows can be typed: each of its console lines is run, in order, and must end well.
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

struct Shown {
  std::string command;
  std::string comment;
};

/// The lines "$ command   # comment" of README.md.
std::vector<Shown> shown_commands() {
  std::vector<Shown> found;
  std::ifstream in{ECHELON_PROJECT "/README.md"};
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("$ ")) continue;
    const std::size_t hash = line.find('#');
    Shown shown{line.substr(2, hash == std::string::npos ? hash : hash - 2), ""};
    if (hash != std::string::npos) shown.comment = line.substr(hash + 2);
    found.push_back(shown);
  }
  return found;
}

TEST(readme, commands_work_as_they_stand) {
  const TemporaryFolder folder;
  const std::filesystem::path program{ECHELON_PROGRAM};
  RunOptions options{.folder = folder.path()};
  options.environment["PATH"] = program.parent_path().string() + ":" + std::getenv("PATH");
  if (geteuid() == 0) {
    options.environment["OMPI_ALLOW_RUN_AS_ROOT"] = "1";
    options.environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1";
  }
  const std::vector<Shown> shown = shown_commands();
  EXPECT_GT(shown.size(), 6U);
  for (const Shown& line : shown) {
    const Outcome outcome = run_program({"sh", "-c", line.command}, options);
    EXPECT_EQ(outcome.exit_code, 0) << line.command << "\n" << outcome;
    EXPECT_NE(outcome.out, "") << line.command;
    if (line.command.find("--quiet") != std::string::npos) {
      EXPECT_EQ(outcome.out, line.comment + "\n") << line.command;
    }
  }
}

TEST(readme, scripts_say_what_they_would_do) {
  for (const std::string script : {"/jobs/workstation.sh", "/tests/run.sh", "/tests/bench/run.sh"}) {
    RunOptions options;
    options.environment["DRY_RUN"] = "1";
    const Outcome outcome = run_program({ECHELON_PROJECT + script}, options);
    EXPECT_EQ(outcome.exit_code, 0) << script << "\n" << outcome;
    EXPECT_THAT(outcome.out, testing::HasSubstr("+ cmake --build --preset release")) << script;
  }
}

}  // namespace
}  // namespace echelon::test
