// The folder is the layer: who may include whom. The table is the design's; a change of the design is made here.
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

namespace fs = std::filesystem;

const fs::path project = ECHELON_PROJECT;

const std::map<std::string, std::set<std::string>>& layers() {
  static const std::map<std::string, std::set<std::string>> table{
      {"base", {}},
      {"numeric", {"base"}},
      {"schedule", {"base"}},
      {"farm", {"base", "schedule"}},
      {"measure", {"base"}},
      {"analysis", {"base", "measure"}},
      {"comm", {"base"}},
      {"workloads", {"base", "numeric", "schedule", "measure", "analysis", "comm", "shared"}},
      {"launch", {"base", "measure"}},
      {"pool", {"base", "schedule", "farm", "measure", "analysis", "comm"}},
      {"command", {"base"}},
      {"map", {"base", "schedule", "farm", "measure", "analysis", "comm", "command"}},
      {"shared", {"base", "comm"}},
      {"app", {"base", "measure", "comm", "launch", "pool"}},
      {"study", {"base", "measure", "analysis", "launch"}},
      {"report", {"base", "measure", "analysis"}},
      {"cli",
       {"base", "numeric", "schedule", "farm", "measure", "analysis", "comm", "launch", "workloads", "report", "pool",
        "shared", "app", "command", "map", "study"}},
      {"echelon.hpp", {"base", "schedule", "measure", "comm", "pool", "shared", "app"}},
  };
  return table;
}

std::string contents(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream{file}.rdbuf();
  return text.str();
}

std::vector<fs::path> sources(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator{project / folder}) {
    const fs::path extension = entry.path().extension();
    if (extension == ".hpp" || extension == ".cpp") found.push_back(entry.path());
  }
  return found;
}

/// What a file includes, as written between < > or " ".
std::vector<std::string> includes(const fs::path& file) {
  static const std::regex line{R"(^\s*#\s*include\s*[<"]([^>"]+)[>"])"};
  std::vector<std::string> found;
  std::istringstream in{contents(file)};
  for (std::string text; std::getline(in, text);) {
    if (std::smatch match; std::regex_search(text, match, line)) found.push_back(match[1]);
  }
  return found;
}

/// include/echelon/LAYER/... or src/LAYER/...
std::string layer_of(const fs::path& file) {
  const fs::path relative = fs::relative(file, project);
  auto part = relative.begin();
  std::advance(part, *part == "include" ? 2 : 1);
  return part->string();
}

/// Of "echelon/LAYER/file.hpp" LAYER; nothing for another include.
std::string layer_included(const std::string& include) {
  if (!include.starts_with("echelon/")) return "";
  const std::size_t begin = std::string{"echelon/"}.size();
  return include.substr(begin, include.find('/', begin) - begin);
}

std::vector<fs::path> all_sources() {
  std::vector<fs::path> all = sources("include");
  for (const fs::path& file : sources("src")) all.push_back(file);
  return all;
}

}  // namespace

TEST(Layers, there_are_sources) { EXPECT_GT(all_sources().size(), 20U); }

TEST(Layers, every_file_is_in_a_layer_of_the_table) {
  for (const fs::path& file : all_sources()) EXPECT_TRUE(layers().contains(layer_of(file))) << file;
}

TEST(Layers, includes_are_those_that_the_table_allows) {
  for (const fs::path& file : all_sources()) {
    const std::string layer = layer_of(file);
    if (!layers().contains(layer)) continue;
    for (const std::string& include : includes(file)) {
      const std::string other = layer_included(include);
      if (other.empty() || other == layer) continue;
      EXPECT_TRUE(layers().at(layer).contains(other)) << file << " includes " << include;
    }
  }
}

TEST(Layers, link_targets_are_those_that_the_table_allows) {
  const std::string cmake = contents(project / "src/CMakeLists.txt");
  static const std::regex call{R"(echelon_layer\(([a-z]+) [^)]*?LAYERS ([a-z ]+?)(?:\s+PRIVATE[^)]*)?\))"};
  std::set<std::string> seen;
  for (std::sregex_iterator at{cmake.begin(), cmake.end(), call}; at != std::sregex_iterator{}; ++at) {
    const std::string layer = (*at)[1];
    seen.insert(layer);
    std::istringstream words{(*at)[2].str()};
    for (std::string other; words >> other;) {
      EXPECT_TRUE(layers().at(layer).contains(other)) << layer << " is linked to " << other;
    }
  }
  EXPECT_EQ(seen.size(), layers().size() - 3)
      << "all but base, which has no layers below it, cli, the program, and echelon.hpp";
}

TEST(Layers, mpi_is_included_in_comm_only) {
  for (const fs::path& file : all_sources()) {
    for (const std::string& include : includes(file)) {
      const bool is_mpi = include == "mpi.h" || include.starts_with("boost/mpi");
      EXPECT_TRUE(!is_mpi || layer_of(file) == "comm") << file << " includes " << include;
    }
  }
}

TEST(Layers, public_headers_include_no_private_ones) {
  for (const fs::path& file : sources("include")) {
    for (const std::string& include : includes(file)) {
      if (!include.ends_with(".hpp")) continue;
      EXPECT_TRUE(include.starts_with("echelon/") || include.starts_with("boost/")) << file << " includes " << include;
    }
  }
}

TEST(Layers, headers_are_guarded) {
  for (const fs::path& file : all_sources()) {
    const bool guarded = contents(file).starts_with("#pragma once\n");
    EXPECT_TRUE(guarded || file.extension() != ".hpp") << file;
  }
}

TEST(Registered, every_source_is_built) {
  const std::string cmake = contents(project / "src/CMakeLists.txt");
  for (const fs::path& file : sources("src")) {
    if (file.extension() != ".cpp") continue;
    EXPECT_THAT(cmake, testing::ContainsRegex("[ (/]" + file.filename().string())) << file;
  }
}

TEST(Registered, every_test_is_run) {
  const std::string cmake = contents(project / "tests/tests.cmake");
  std::size_t tests = 0;
  for (const fs::path& file : sources("tests")) {
    const std::string stem = file.stem().string();
    if (!stem.ends_with("_test")) continue;
    ++tests;
    const std::string name = file.parent_path().filename().string() + "." + stem.substr(0, stem.size() - 5);
    EXPECT_THAT(cmake, testing::HasSubstr("NAME " + name + " ")) << file;
  }
  EXPECT_GT(tests, 10U);
}

TEST(Registered, every_example_is_built_and_run) {
  const std::string cmake = contents(project / "tests/tests.cmake");
  const std::string test = contents(project / "tests/examples/output_test.cpp");
  for (const fs::path& file : sources("tests/examples")) {
    const std::string name = file.stem();
    if (name == "output_test") continue;
    EXPECT_THAT(cmake, testing::ContainsRegex("\n  " + name + "[\n)]")) << file;
    EXPECT_THAT(test, testing::HasSubstr('"' + name + '"')) << file;
  }
}

TEST(Registered, top_level_holds_what_tools_expect_there_and_no_more) {
  const std::set<std::string> allowed{
      "src",       "include", "tests",        "jobs",           "build", "CMakeLists.txt", "CMakePresets.json",
      "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"};
  for (const auto& entry : fs::directory_iterator{project}) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(name.starts_with(".") || allowed.contains(name)) << name;
  }
}

TEST(Registered, scripts_can_be_executed) {
  for (const char* script :
       {"jobs/workstation.sh", "tests/run.sh", "tests/nightly.sh", ".ci/run", "tests/cluster/up.sh",
        "tests/cluster/down.sh", "tests/cluster/on.sh", "tests/cluster/ctl.sh", "tests/cluster/node.sh"}) {
    EXPECT_NE(fs::status(project / script).permissions() & fs::perms::owner_exec, fs::perms::none) << script;
  }
}
