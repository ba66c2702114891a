#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {

/// Runs `echelon map` in a folder of its own.
class MapTest : public testing::Test {
 protected:
  ~MapTest() override { expect_nothing_left(); }

  [[nodiscard]] std::filesystem::path path(const std::string& name = "") const { return folder_.path() / name; }
  [[nodiscard]] RunOptions here(const std::string& input = "") const {
    RunOptions options{.folder = path(), .limit = std::chrono::seconds{120}};
    folder_.write("input", input);
    options.input_file = path("input");
    options.environment["SLURM_JOB_ID"] = std::nullopt;
    return alone(options);
  }
  [[nodiscard]] Outcome map(const Arguments& arguments, const std::string& input = "") const {
    return run_echelon(Arguments{"map", "-j", "2"} + arguments, here(input));
  }
  /// As typed into bash, where `map` is `echelon map`.
  [[nodiscard]] Outcome bash(const std::string& line, const std::string& input = "") const {
    return run_program({"bash", "-c", "map() { '" ECHELON_PROGRAM "' map -j 2 --quiet \"$@\"; }; " + line},
                       here(input));
  }
  void write(const std::string& name, const std::string& text) const { folder_.write(name, text); }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream file{path(name), std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
  }
  /// How often each task is in a joblog.
  [[nodiscard]] static std::map<int, int> tasks_of_joblog(const std::string& text) {
    std::map<int, int> times;
    for (const std::string& line : lines(text)) {
      if (!line.starts_with("Seq\t")) ++times[std::stoi(line)];
    }
    return times;
  }
  [[nodiscard]] static std::string numbers(int count) {
    std::string text;
    for (int i = 1; i <= count; ++i) text += std::to_string(i) + "\n";
    return text;
  }

 private:
  TemporaryFolder folder_;
};

}  // namespace echelon::test
