// echelon report DIR and echelon compare A B, on studies of real runs.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/python.hpp"
#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class study_report : public testing::Test {
 protected:
  Outcome run(const Arguments& arguments) const {
    return run_echelon(arguments, {.folder = folder.path(), .limit = std::chrono::seconds{120}});
  }
  /// So many ranks are one process: mpirun takes longer than all the rest.
  void study(const std::string& out, const Arguments& options, const Arguments& command) const {
    const Outcome outcome = run(Arguments{"study", "--launcher", "env RANKS={ranks} {command}", "--out", out} +
                                options + Arguments{"--"} + command);
    ASSERT_THAT(outcome.exit_code, testing::AnyOf(0, 3)) << outcome;
  }
  std::string read(const std::string& name) const {
    std::ifstream file{folder.path() / name};
    return {std::istreambuf_iterator<char>{file}, {}};
  }
  std::vector<std::string> files(const std::string& name) const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator{folder.path() / name}) found.push_back(entry.path().filename());
    std::ranges::sort(found);
    return found;
  }

  TemporaryFolder folder;
};

TEST_F(study_report, of_a_workload_has_all_views) {
  const Outcome made = run({"study", "--ranks", "1,2", "--repeat", "6", "--out", "out", "--", "pi", "--points", "1e7"});
  ASSERT_EQ(made.exit_code, 0) << made;
  const Outcome outcome = run({"report", "out"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out, AllOf(StartsWith("pi --points 1e7\nStrong scaling, speedup against 1 rank on 1 node ("),
                                 HasSubstr("\nechelon study --ranks 1,2 --repeat 6 -- pi --points 1e7\n")));
  EXPECT_THAT(files("out/report"), ElementsAre("figures.dat", "figures.gp", "ranks.csv", "report.html", "report.txt",
                                               "table.md", "table.tex", "tidy.csv", "trace.json"));
  EXPECT_THAT(outcome.out, StartsWith(read("out/report/report.txt")));
  EXPECT_EQ(lines(read("out/report/tidy.csv")).size(), 1U + 14);
  EXPECT_EQ(lines(read("out/report/ranks.csv")).size(), 1U + 1 + 2);
  std::size_t ranks = 0;
  const auto trace = nlohmann::json::parse(read("out/report/trace.json"));
  for (const auto& event : trace.at("traceEvents")) {
    if (event["name"] == "thread_name") ++ranks;
  }
  EXPECT_EQ(ranks, 2U) << "the trace is of the most ranks";
  // The same again, elsewhere, byte for byte.
  EXPECT_EQ(run({"report", "out", "--out", "new/folder"}).exit_code, 0);
  for (const std::string& name : files("out/report")) {
    EXPECT_EQ(read("new/folder/" + name), read("out/report/" + name)) << name;
  }
}

TEST_F(study_report, runs_of_another_machine_or_build_are_named) {
  ASSERT_EQ(run({"study", "--ranks", "1", "--repeat", "6", "--out", "here", "--", "pi", "--points", "1e6"}).exit_code,
            0);
  fs::copy(folder.path() / "here", folder.path() / "both", fs::copy_options::recursive);
  for (const char* name : {"both/runs/0003.json", "both/runs/0004.json"}) {
    auto made = nlohmann::ordered_json::parse(read(name));
    made["record"]["context"]["cpu_model"] = "Z80";
    made["record"]["context"]["version"] = "0.0.1";
    folder.write(name, made.dump());
  }
  EXPECT_THAT(run({"report", "here"}).out, Not(HasSubstr("runs differ")));
  EXPECT_THAT(run({"report", "both"}).out,
              AllOf(ContainsRegex("\n.* and Z80\n"), ContainsRegex("\nEchelon .*; Echelon 0.0.1"),
                    ContainsRegex("runs differ in CPU \\(.*; Z80\\), Echelon")));
  EXPECT_THAT(read("both/report/report.html"), HasSubstr("runs differ in CPU"));
  EXPECT_THAT(run({"compare", "here", "both"}).out, ContainsRegex("^A: here.*\nB: both.*\nruns differ in CPU"));
  EXPECT_THAT(run({"compare", "here", "here"}).out, Not(HasSubstr("differ in")));
}

TEST_F(study_report, of_any_program_has_what_is_known) {
  study("out", {"--ranks", "1,2", "--repeat", "2"},
        {"sh", "-c", "test $RANKS = 1 || { echo no licence >&2; exit 3; }"});
  const Outcome outcome = run({"report", "out"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("; wall time from launch to exit; n = 2 runs"),
                                 ContainsRegex("failed runs:\n  - run [0-9]+, 2 ranks, .*no licence")));
  EXPECT_THAT(files("out/report"), Not(testing::Contains("trace.json")));
  EXPECT_THAT(read("out/report/table.md"), HasSubstr("No run succeeded of: 2 ranks."));
}

TEST_F(study_report, failed_runs_are_lines_of_tidy_csv_too) {
  if (!has_numpy()) GTEST_SKIP() << "NumPy is not installed for " << python();
  study("out", {"--ranks", "1,2", "--repeat", "2"},
        {"sh", "-c", "test $RANKS = 1 || { printf 'no mesh, no licence\\n\\ttwo \"lines\"\\n' >&2; exit 3; }"});
  const Outcome outcome = run_program(
      {python(), "-c",
       "import numpy\n"
       "t = numpy.genfromtxt('out/report/tidy.csv', delimiter=',', names=True, dtype=None, encoding='utf8')\n"
       "print(len(t), numpy.isfinite(t['time_s']).sum(), sum('no mesh; no licence' in e for e in t['error']))"},
      {.folder = folder.path()});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.out, "5 3 2\n");
}

/// HPC Challenge, which Debian has: HPL, PTRANS, RandomAccess, FFT and more, small.
constexpr const char* hpcc_input =
    "A line\nAnother\nHPL.out output file\n8 device out\n1 # of problems sizes (N)\n100 Ns\n1 # of NBs\n80 NBs\n"
    "0 PMAP\n1 # of process grids\n1 Ps\n1 Qs\n16.0 threshold\n1 # of panel fact\n2 PFACTs\n1 # of stopping "
    "criterium\n4 NBMINs\n1 # of panels in recursion\n2 NDIVs\n1 # of recursive panel fact.\n1 RFACTs\n"
    "1 # of broadcast\n1 BCASTs\n1 # of lookahead depth\n1 DEPTHs\n2 SWAP\n64 swapping threshold\n0 L1 in\n0 U in\n"
    "1 Equilibration\n8 memory alignment\nignored\n0 problem sizes for PTRANS\n1 values of N\n0 block sizes for "
    "PTRANS\n1 values of NB\n";

TEST_F(study_report, of_an_mpi_program_of_others_from_end_to_end) {
  if (std::system("command -v hpcc > /dev/null") != 0) GTEST_SKIP() << "there is no hpcc";
  folder.write("hpccinf.txt", hpcc_input);
  const Outcome made = run({"study", "--ranks", "1,2", "--repeat", "6", "--out", "out", "--", "hpcc"});
  ASSERT_EQ(made.exit_code, 0) << made;
  EXPECT_THAT(made.out, AllOf(StartsWith("hpcc\nStrong scaling, speedup against 1 rank on 1 node ("),
                              HasSubstr("; wall time from launch to exit; n = 6 runs a point\n"),
                              ContainsRegex("\n +1 +1 +1 +6 +[0-9.]+ \\[[0-9.]+, [0-9.]+\\] +1.00 "),
                              ContainsRegex("\n +1 +2 +1 +6 +[0-9.]+ \\[[0-9.]+, [0-9.]+\\] +[0-9.]+ \\["),
                              HasSubstr("start-up"), testing::EndsWith("\nout\n")));
  // What each run wrote itself, at the end of one file.
  std::vector<std::string> ranks;
  int successes = 0;
  for (const std::string& line : lines(read("hpccoutf.txt"))) {
    if (line.starts_with("CommWorldProcs=")) ranks.push_back(line.substr(15));
    if (line == "Success=1") ++successes;
  }
  EXPECT_EQ(successes, 14) << "2 warm-ups and 12 runs";
  EXPECT_EQ(std::ranges::count(ranks, "2"), 7);
  const std::string page = read("out/report/report.html");
  EXPECT_THAT(page, HasSubstr("<title>hpcc · scaling study</title>"));
}

TEST_F(study_report, of_no_success_is_still_a_report) {
  const Outcome made =
      run({"study", "--ranks", "1", "--launcher", "env N={ranks} {command}", "--out", "out", "--", "false"});
  ASSERT_EQ(made.exit_code, 4) << made;
  const Outcome outcome = run({"report", "out"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("no run succeeded"), HasSubstr("failed runs:")));
  EXPECT_THAT(files("out/report"),
              ElementsAre("ranks.csv", "report.html", "report.txt", "table.md", "table.tex", "tidy.csv"));
}

/// The table that started this project, of N = 1e7 and 1e9, beside ours.
TEST_F(study_report, others_figures_stand_beside_it) {
  for (const std::string n : {"1e7", "1e9"}) {
    const Outcome made = run({"study", "--ranks", "1,2", "--repeat", "1", "--out", n, "--", "pi", "--points", n});
    ASSERT_EQ(made.exit_code, 0) << made;
    const std::string others = std::string{ECHELON_PROJECT} + "/tests/examples/python_" + n + ".csv";
    const Outcome outcome = run({"report", n, "--beside", others});
    ASSERT_EQ(outcome.exit_code, 0) << outcome;
    const std::string title = "Python processes on a node with 24 cores, N = " + n + " (the text of row 18)";
    const std::string ours = " +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9]+ +";
    const bool small = n == "1e7";
    EXPECT_THAT(outcome.out,
                AllOf(HasSubstr("\nbeside " + title +
                                ":\nprocessors  elapsed s  speedup  efficiency  %CPU  "
                                "their elapsed s  speedup  efficiency  %CPU  theirs / ours\n"),
                      ContainsRegex("\n +1 " + ours + (small ? "1.830 +1.00 +1.000 +99" : "175.5 +1.00 +1.000 +99")),
                      ContainsRegex("\n +2 " + ours + (small ? "1.000 +1.83 +0.915 +186" : "87.95 +2.00 +0.998 +199")),
                      ContainsRegex(small ? "\n +24( +-){4} +0.1700 +10.76 +0.449 +1277 +-\n"
                                          : "\n +24( +-){4} +10.05 +17.47 +0.728 +2096 +-\n")));
    EXPECT_THAT(read(n + "/report/report.html"), HasSubstr("\"beside\":[{\"title\":\"" + title));
    EXPECT_THAT(read(n + "/report/report.txt"), HasSubstr("\nbeside " + title));
  }
}

/// As the jobs of jobs/slurm/submit_study.sh make them.
TEST_F(study_report, of_several_studies_is_as_of_one) {
  study("small", {"--ranks", "1,2", "--repeat", "6"}, {"sleep", "0.02"});
  study("large", {"--ranks", "2,4", "--repeat", "7", "--warmup", "0"}, {"sleep", "0.02"});
  const Outcome outcome = run({"report", "--out", "all", "small", "large"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out,
              AllOf(StartsWith("sleep 0.02\nStrong scaling, speedup against 1 rank on 1 node ("),
                    HasSubstr("; n = 6 to 13 runs\na point\n"), HasSubstr("\nechelon report small large\n"),
                    ContainsRegex("\n +1 +1 +1 +6 "), ContainsRegex("\n +1 +2 +1 +13 "),
                    ContainsRegex("\n +1 +4 +1 +7 "), ContainsRegex("\nnotes:\n  - small: echelon study --ranks 1,2 "),
                    HasSubstr("\n  - large: echelon study --ranks 2,4 ")));
  EXPECT_THAT(files("all"), testing::Contains("report.html"));
  EXPECT_FALSE(fs::exists(folder.path() / "small/report/all"));
  const std::vector<std::string> tidy = lines(read("all/tidy.csv"));
  ASSERT_EQ(tidy.size(), 1U + 14 + 14);
  EXPECT_THAT(tidy.back(), StartsWith("28,")) << "runs are counted anew";
}

TEST_F(study_report, studies_are_compared_by_points) {
  study("a", {"--ranks", "1,2,4", "--repeat", "7", "--warmup", "0"}, {"sleep", "0.02"});
  study("b", {"--ranks", "1,2,3", "--repeat", "7", "--warmup", "0"}, {"sh", "-c", "sleep 0.$((RANKS * 2))"});
  const Outcome outcome = run({"compare", "a", "b"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out, AllOf(StartsWith("A: a: sleep 0.02\nB: b: sh -c "), HasSubstr("only A has 4 ranks\n"),
                                 HasSubstr("only B has 3 ranks\n")));
  const std::vector<std::string> all = lines(outcome.out);
  EXPECT_THAT(all.at(4), ContainsRegex("^ +1 +1 +7 +7 .* B is slower, by [0-9.]+ %$"));
  EXPECT_THAT(all.at(5), ContainsRegex("^ +2 +1 +7 +7 .* B is slower, by [0-9.]+ %$"));
  const Outcome itself = run({"compare", "a", "a"});
  EXPECT_EQ(itself.exit_code, 0) << itself;
  EXPECT_THAT(itself.out, AllOf(HasSubstr("no difference that these runs show"), Not(HasSubstr("B is"))));
}

TEST_F(study_report, what_cannot_be_is_refused_in_one_line) {
  study("a", {"--ranks", "1", "--repeat", "1"}, {"true"});
  study("b", {"--ranks", "2", "--repeat", "1"}, {"true"});
  study("weak", {"--ranks", "1", "--repeat", "1", "--weak", "p"}, {"sh", "-c", "true {}"});
  folder.write("file", "");
  folder.write("head", "ranks,elapsed_s\n");
  folder.write("no/plan.txt", "");
  const std::vector<std::pair<Arguments, std::string>> refused{
      {{"compare", "a"}, "B"},
      {{"compare", "a", "none"}, "'none' has no study"},
      {{"compare", "no", "a"}, "'no' has no study"},
      {{"compare", "a", "b"}, "no point in common"},
      {{"compare", "a", "weak"}, "do not scale alike"},
      {{"report", "a", "b"}, "--out: the report of several studies"},
      {{"report", "--out", "x", "a", "weak"}, "weak (none in 'a', 'p' in 'weak')"},
      {{"report", "--out", "x", "a", "none"}, "'none' has no study"},
      {{"report", "--out", "x", "a", "./a/"}, "'./a/' is given twice"},
      {{"report", "a", "--out", "file"}, "--out"},
      {{"report", "a", "--beside", "none"}, "cannot read 'none'; give a CSV file"},
      {{"report", "a", "--beside", "head"}, "--beside: 'head': it has no figures"},
      {{"report", "a", "--out", "file/x"}, "--out"},
      {{"report", "no", "--out", "x"}, "'no' has no study"},
      {{"report", "no"}, "--json"},
  };
  for (const auto& [arguments, why] : refused) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << outcome;
    EXPECT_EQ(outcome.out, "") << outcome;
    EXPECT_EQ(lines(outcome.err).size(), 1U) << outcome;
    EXPECT_THAT(outcome.err, HasSubstr(why));
  }
}

TEST_F(study_report, damaged_study_is_refused_in_one_line) {
  study("a", {"--ranks", "1", "--repeat", "1"}, {"true"});
  folder.write("a/runs/0001.json", "{");
  const Outcome outcome = run({"report", "a"});
  EXPECT_EQ(outcome.exit_code, 2) << outcome;
  EXPECT_EQ(lines(outcome.err).size(), 1U) << outcome;
  EXPECT_THAT(outcome.err, HasSubstr("0001.json"));
}

TEST_F(study_report, records_of_other_hands_are_shown_as_they_are_or_refused) {
  ASSERT_EQ(run({"study", "--ranks", "1,2", "--repeat", "1", "--out", "a", "--quiet", "--", "pi", "--points", "1e6"})
                .exit_code,
            0);
  const std::string name = "a/runs/0004.json";
  const std::string whole = read(name);
  const auto report_of = [&](const auto& edit) {
    nlohmann::json edited = nlohmann::json::parse(whole);
    edit(edited);
    folder.write(name, edited.dump());
    return run({"report", "a"});
  };
  const std::string hostile = "</script><script>alert(1)</script>\"'\u202e😀" + std::string(300, 'x');
  const Outcome shown = report_of([&](auto& edited) {
    edited["host"] = hostile;
    edited["record"]["context"]["hosts"] = {hostile};
    edited["record"]["new"] = {{"from", "the future"}};
    for (auto& rank : edited["record"]["ranks"]) rank.update({{"host", hostile}, {"lost", true}});
  });
  EXPECT_EQ(shown.exit_code, 0) << shown;
  EXPECT_THAT(shown.out, AllOf(HasSubstr("ranks were lost at "), HasSubstr("😀xxx"), Not(HasSubstr("\u202e"))));
  EXPECT_THAT(read("a/report/report.html"), AllOf(Not(HasSubstr("<script>alert")), HasSubstr("script>alert")));
  const std::vector<std::pair<std::function<void(nlohmann::json&)>, std::string>> refused{
      {[](auto& edited) { edited["record"]["schema"] = "echelon.record/2"; }, "another version of Echelon wrote it"},
      {[](auto& edited) { edited["schema"] = "echelon.run/2"; }, "another version of Echelon wrote it"},
      {[](auto& edited) { edited["record"].erase("ranks"); }, "'ranks'"},
      {[](auto& edited) { edited["record"]["wall_s"] = "a minute"; }, "number"},
      {[](auto& edited) { edited.erase("seq"); }, "'seq'"}};
  for (const auto& [edit, reason] : refused) {
    const Outcome outcome = report_of(edit);
    EXPECT_EQ(outcome.exit_code, 2) << outcome;
    EXPECT_EQ(lines(outcome.err).size(), 1U) << outcome;
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("0004.json' cannot be used"), HasSubstr(reason)));
  }
}

TEST_F(study_report, full_standard_output_is_one_line_and_the_code_for_broken) {
  study("a", {"--ranks", "1", "--repeat", "1"}, {"true"});
  for (const Arguments& arguments : {Arguments{"report", "a"}, Arguments{"compare", "a", "a"}}) {
    const Outcome outcome = run_echelon(arguments, {.folder = folder.path(), .output_file = "/dev/full"});
    EXPECT_EQ(outcome.exit_code, 4) << outcome;
    EXPECT_EQ(lines(outcome.err).size(), 1U) << outcome;
  }
}

}  // namespace
}  // namespace echelon::test
