#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/numeric/midpoint_rule.hpp>

#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

using testing::HasSubstr;

/// What cannot be done, and which words the one line about it must have: the option, and the way out.
struct Mistake {
  Arguments arguments;
  std::vector<std::string> words;
};

std::string quoted(const char* word) { return std::string{"'"}.append(word).append("'"); }

std::string text_of(const Mistake& mistake) {
  std::string text;
  for (const std::string& argument : mistake.arguments) text += (text.empty() ? "" : " ") + argument;
  return text;
}

/// Of the commands on shared objects.
std::vector<Mistake> mistakes_with_shared(const TemporaryFolder& folder) {
  folder.write("there.log", "before\n");
  const std::string here = folder.path().string();
  const std::string there = here + "/there.log";
  const std::string fresh = here + "/fresh.log";
  return {
      {{"queue", "--capacity", "0"}, {"--capacity", "'0'", "give a whole number from 1 to 16777216"}},
      {{"queue", "--producers", "0"}, {"--producers", "'0'", "give a whole number from 1 to "}},
      {{"queue", "--bytes", "7"}, {"--bytes", "7 bytes", "its producer and its number", "from 8 to 1073741824"}},
      {{"queue", "--items", "-1"}, {"--items", "'-1'"}},
      {{"counter", "--lock", "--atomic"}, {"--lock", "--atomic", "echelon counter --help"}},
      {{"counter", "--increments", "x"}, {"--increments", "'x'"}},
      {{"log"}, {"FILE", "echelon log --help"}},
      {{"log", "-"}, {"FILE", "standard output", "give a file name"}},
      {{"log", here}, {"FILE", here, "folder", "give a file"}},
      {{"log", there}, {"FILE", there, "is there already", "--force"}},
      {{"log", "--force", "/dev/full"}, {"FILE", "/dev/full", "not a regular file"}},
      {{"log", "/proc/nonexistent/x"}, {"FILE", "/proc/nonexistent", "create it first"}},
      {{"log", "/proc/x"}, {"FILE", "/proc/x", "choose"}},
      {{"log", fresh, "--lines", "x"}, {"--lines", "'x'"}},
      {{"log", fresh, "--json", here + "/./fresh.log"}, {"FILE", fresh, "--json", "of its own"}},
  };
}

std::vector<Mistake> mistakes(const TemporaryFolder& folder) {
  const std::string points = "give a whole number from 1 to 9007199254740992";
  std::vector<Mistake> all;
  for (const char* number : {"0", "-5", "1e30", "abc", "1.5", "", "9007199254740993"}) {
    all.push_back({{"pi", "--points", number}, {"--points", quoted(number), points}});
  }
  for (const char* option : {"--threads", "--repeat", "--block", "--chunk"}) {
    all.push_back({{"pi", option, "0"}, {option, "give a whole number from 1 to "}});
  }
  all.push_back(
      {{"pi", "--schedule", "foo"}, {"--schedule", "'foo'", "static", "dynamic", "guided", "factoring", "trapezoid"}});
  all.push_back({{"pi", "--kernel", "foo"}, {"--kernel", "'foo'", "fused", "direct"}});
  all.push_back({{"pi", "--isa", "foo"}, {"--isa", "'foo'", "auto", "scalar"}});
  const auto& supported = numeric::supported_isas();
  for (const numeric::Isa isa : numeric::all_isas()) {
    if (std::ranges::find(supported, isa) != supported.end()) continue;
    const std::string name{numeric::name(isa)};
    all.push_back({{"pi", "--isa", name}, {"--isa", name, "scalar", "auto"}});
  }
  folder.write("text.json", "no record\n");
  folder.write("other.json", "{\"schema\": \"other/1\"}\n");
  const std::string here = folder.path().string();
  for (const char* option : {"--json", "--csv"}) {
    all.push_back({{"pi", option, "/proc/nonexistent/x.json"}, {option, "/proc/nonexistent", "create it first"}});
    all.push_back({{"pi", option, here}, {option, here, "folder", "give a file"}});
    all.push_back({{"pi", option, "/proc/x.json"}, {option, "/proc/x.json", "choose"}});  // root may not write there
    all.push_back({{"pi", option, here + "/text.json/x"}, {option, "text.json"}});
    all.push_back({{"pi", option}, {option, "pi --help"}});
  }
  all.push_back({{"pi", "--json", "-", "--csv", "-"}, {"--csv", "--json", "give a file"}});
  const std::string npy = here + "/x.npy";
  for (const char* number : {"0", "1e30", "1152921504606846961"}) {
    all.push_back({{"fill", "--out", npy, "--size", number},
                   {"--size", quoted(number), "give a whole number from 1 to 1152921504606846960"}});
  }
  all.push_back(
      {{"fill", "--out", npy, "--seed", "18446744073709551616"}, {"--seed", "from 0 to 18446744073709551615"}});
  all.push_back({{"fill"}, {"--out", "fill --help"}});
  all.push_back({{"fill", "--out", "-"}, {"--out", "give a file name"}});
  all.push_back({{"fill", "--out", here}, {"--out", here, "folder", "give a file"}});
  all.push_back({{"fill", "--out", "/proc/nonexistent/x.npy"}, {"--out", "/proc/nonexistent", "create it first"}});
  all.push_back({{"fill", "--out", "/proc/x.npy"}, {"--out", "/proc/x.npy", "choose"}});
  all.push_back({{"fill", "--out", "/dev/null", "--force"}, {"--out", "/dev/null", "give another name"}});
  all.push_back({{"fill", "--out", here + "/text.json"}, {"--out", "text.json", "there already", "--force"}});
  all.push_back({{"fill", "--out", npy, "--size", "1e17"}, {"--out", npy, "GiB", "free", "smaller --size"}});
  all.push_back({{"pi", "--foo"}, {"--foo", "echelon pi --help"}});
  all.push_back({{"pi", "stray"}, {"stray", "echelon pi --help"}});
  all.push_back({{"foo"}, {"foo", "echelon --help"}});
  all.push_back({{"--foo"}, {"--foo", "echelon --help"}});
  all.push_back({{"report"}, {"RECORDS", "echelon report --help"}});
  all.push_back({{"report", here + "/missing.json"}, {"missing.json", "--json"}});
  all.push_back({{"report", here + "/text.json"}, {"text.json", "--json"}});
  all.push_back({{"report", here + "/other.json"}, {"other.json", "other/1"}});
  all.push_back({{"report", here}, {here, "--json"}});
  for (Mistake& mistake : mistakes_with_shared(folder)) all.push_back(std::move(mistake));
  return all;
}

void expect_one_line(const Outcome& outcome, const std::vector<std::string>& words) {
  EXPECT_EQ(outcome.exit_code, 2) << outcome;
  EXPECT_EQ(outcome.out, "");
  ASSERT_EQ(lines(outcome.err).size(), 1U) << outcome;
  EXPECT_TRUE(outcome.err.starts_with("echelon: ")) << outcome.err;
  EXPECT_TRUE(outcome.err.ends_with('\n'));
  for (const std::string& word : words) EXPECT_THAT(outcome.err, HasSubstr(word));
}

TEST(usage, mistake_is_one_line_with_the_option_and_the_way_out) {
  const TemporaryFolder folder;
  for (const Mistake& mistake : mistakes(folder)) {
    SCOPED_TRACE("echelon " + text_of(mistake));
    expect_one_line(run_echelon(mistake.arguments), mistake.words);
  }
}

TEST(usage, mistake_with_ranks_is_still_one_line) {
  const TemporaryFolder folder;
  for (const Mistake& mistake : mistakes(folder)) {
    SCOPED_TRACE("echelon -n 3 " + text_of(mistake));
    expect_one_line(run_echelon(Arguments{"-n", "3"} + mistake.arguments), mistake.words);
  }
}

// There is no mpirun here to be found.
TEST(usage, mistake_is_found_before_anything_is_started) {
  const TemporaryFolder folder;
  for (const Mistake& mistake : mistakes(folder)) {
    SCOPED_TRACE("echelon -n 3 " + text_of(mistake));
    const Outcome outcome =
        run_echelon(Arguments{"-n", "3"} + mistake.arguments, {.environment = {{"PATH", "/proc/nonexistent"}}});
    expect_one_line(outcome, mistake.words);
  }
}

TEST(usage, impossible_number_of_ranks_is_one_line) {
  for (const char* number : {"0", "abc", "-1", "1.5", "1e9"}) {
    for (const Arguments& arguments : {Arguments{"-n", number, "pi"}, Arguments{"pi", "-n", number}}) {
      expect_one_line(run_echelon(arguments), {"-n", quoted(number), "give a whole number from 1"});
    }
  }
}

TEST(usage, mistake_leaves_nothing_behind) {
  const TemporaryFolder folder;
  const Outcome outcome =
      run_echelon({"pi", "--json", "x.json", "--csv", "/proc/nonexistent/x"}, {.folder = folder.path()});
  expect_one_line(outcome, {"--csv"});
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

std::size_t count_own_lines(const Outcome& outcome) {
  const auto all = lines(outcome.err);
  return static_cast<std::size_t>(
      std::ranges::count_if(all, [](const std::string& line) { return line.starts_with("echelon: "); }));
}

// mpirun adds a paragraph of its own.
TEST(usage, mistake_under_mpirun_is_said_once) {
  const TemporaryFolder folder;
  const Mistake chosen[] = {
      {{"pi", "--points", "0"}, {"echelon: --points: '0' is too small; "}},
      {{"pi", "--json", "/proc/nonexistent/x.json"}, {"echelon: --json: cannot write '/proc/nonexistent/x.json': "}},
      {{"pi", "--csv", folder.path().string()}, {"echelon: --csv: cannot write '"}},
      {{"-n", "2", "pi"}, {"echelon: -n: ", "leave -n out"}},
      {{"report", "/proc/nonexistent"}, {"echelon: cannot read '/proc/nonexistent'"}},
      {{"foo"}, {"foo", "echelon --help"}},
  };
  for (const Mistake& mistake : chosen) {
    SCOPED_TRACE("mpirun -n 3 echelon " + text_of(mistake));
    const Outcome outcome = run_mpirun(3, mistake.arguments);
    EXPECT_EQ(outcome.exit_code, 2) << outcome;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(count_own_lines(outcome), 1U) << outcome.err;
    EXPECT_THAT(outcome.err, testing::Not(HasSubstr("MPI_ABORT")));
    for (const std::string& word : mistake.words) EXPECT_THAT(outcome.err, HasSubstr(word));
  }
}

TEST(usage, help_is_printed_once_on_standard_output) {
  const Mistake helps[] = {
      {{"--help"}, {"Usage: echelon", "-n,--ranks", "pi ", "report "}},
      {{"-h"}, {"Usage: echelon"}},
      {{"pi", "--help"}, {"--points", "--schedule", "--kernel", "--threads", "--repeat", "--json", "--csv", "--quiet"}},
      {{"queue", "--help"}, {"--items", "--producers", "--capacity", "--bytes", "Examples:"}},
      {{"counter", "--help"}, {"--increments", "--lock", "--atomic", "Examples:"}},
      {{"log", "--help"}, {"--lines", "FILE", "--force", "Examples:"}},
      {{"report", "--help"}, {"RECORDS"}},
      {{"--version"}, {"echelon "}},
  };
  for (const Mistake& help : helps) {
    SCOPED_TRACE(text_of(help));
    const Outcome alone = run_echelon(help.arguments);
    EXPECT_EQ(alone.exit_code, 0) << alone;
    EXPECT_EQ(alone.err, "");
    for (const std::string& word : help.words) EXPECT_THAT(alone.out, HasSubstr(word));

    const Outcome launched = run_mpirun(3, help.arguments);
    EXPECT_EQ(launched.exit_code, 0) << launched;
    EXPECT_EQ(launched.out, alone.out);
    EXPECT_EQ(launched.err, "");
  }
}

TEST(usage, version_is_one_line) {
  const Outcome outcome = run_echelon({"--version"});
  EXPECT_THAT(outcome.out, testing::MatchesRegex("echelon [0-9]+\\.[0-9]+\\.[0-9]+ .*\n"));
  EXPECT_EQ(lines(outcome.out).size(), 1U);
}

TEST(usage, no_command_shows_the_help_as_an_error) {
  const std::string help = run_echelon({"--help"}).out;
  for (const Arguments& arguments : {Arguments{}, Arguments{"-n", "3"}}) {
    const Outcome outcome = run_echelon(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << outcome;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.err, help);
  }
}

TEST(usage, info_parts_the_names_of_slurms_variables_from_their_values) {
  const Outcome outcome = run_echelon({"info"}, {.environment = {{"SLURM_JOB_ID", "7"}, {"SLURM_RESTART_COUNT", "2"}}});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(lines(outcome.out), testing::IsSupersetOf({"SLURM_JOB_ID         7", "SLURM_RESTART_COUNT  2"}));
  EXPECT_THAT(outcome.out, HasSubstr(", on no node of SLURM job 7\n")) << "as salloc's shell on a login node";
  EXPECT_THAT(run_echelon({"info"}).out, HasSubstr(", not in a SLURM job\n"));
}

}  // namespace
}  // namespace echelon::test
