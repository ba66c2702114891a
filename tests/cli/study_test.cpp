// echelon study, as its users see it, with real runs.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <poll.h>

#include "support/record_of.hpp"
#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;

class study_command : public testing::Test {
 protected:
  ~study_command() override { expect_nothing_left(); }

  RunOptions here() const { return alone({.folder = folder.path(), .limit = std::chrono::seconds{120}}); }
  Outcome study(const Arguments& arguments) const { return run_echelon(Arguments{"study"} + arguments, here()); }
  std::string read(const std::string& name) const {
    std::ifstream file{folder.path() / name};
    return {std::istreambuf_iterator<char>{file}, {}};
  }
  /// The runs of the study in folder `out`, by their file names.
  std::map<std::string, std::string> run_files(const std::string& out = "out") const {
    std::map<std::string, std::string> files;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator{folder.path() / out / "runs", ignored}) {
      const std::string name = entry.path().filename();
      if (name.ends_with(".json")) files[name] = read(out + "/runs/" + name);
    }
    return files;
  }
  std::vector<json> runs(const std::string& out = "out") const {
    std::vector<json> found;
    for (const auto& [name, text] : run_files(out)) found.push_back(json::parse(text));
    return found;
  }
  /// Without mpirun, which takes longer than all the rest: so many ranks are one process.
  static Arguments quick() { return {"--launcher", "env RANKS={ranks} {command}"}; }

  TemporaryFolder folder;
};

TEST_F(study_command, workload_over_ranks_ends_in_a_table_and_its_records) {
  const Outcome outcome =
      study(Arguments{"--ranks", "1,2", "--repeat", "6", "--out", "out", "--", "pi", "--points", "1e6"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.err, HasSubstr("14 runs to come"));
  EXPECT_THAT(outcome.err, HasSubstr("12 runs, about "));
  EXPECT_THAT(outcome.err, HasSubstr("core-hours to come, by the runs so far"));
  const std::vector<std::string> printed = lines(outcome.out);
  const auto table = std::ranges::find_if(printed, [](const std::string& line) { return line.starts_with("nodes "); });
  ASSERT_GT(printed.end() - table, 4) << outcome;
  EXPECT_THAT(table[1], MatchesRegex(" +1 +1 +1 +6 +[0-9.]+ \\[[0-9.]+, [0-9.]+\\] +1.00 +1.000 .*"));
  EXPECT_THAT(table[2], MatchesRegex(" +1 +2 +1 +6 +[0-9.]+ \\[.*\\] +[0-9.]+ \\[.*\\] +[0-9.]+ \\[.*\\] .*"));
  EXPECT_EQ(printed.back(), "out");
  const std::vector<json> all = runs();
  ASSERT_EQ(all.size(), 14U);
  for (const json& run : all) {
    EXPECT_EQ(run["schema"], "echelon.run/1");
    EXPECT_EQ(run["error"], "");
    EXPECT_EQ(run["record"]["schema"], "echelon.record/1");
    EXPECT_EQ(run["record"]["ranks"].size(), run["ranks"]);
    EXPECT_LT(run["record"]["repetitions_s"][0], run["launch_to_exit_s"]);
    EXPECT_GT(run["cpu_s"], 0);
  }
}

TEST_F(study_command, dry_run_prints_the_commands_that_are_then_run) {
  const Arguments options{"--ranks", "1-3", "--repeat", "2", "--out", "out", "--seed", "5"};
  const Arguments command{"--", "sh", "-c", "true {ranks}"};
  const Outcome dry = study(options + quick() + Arguments{"--dry-run", "--guess", "10"} + command);
  EXPECT_EQ(dry.exit_code, 0) << dry;
  EXPECT_EQ(dry.err, "");
  EXPECT_FALSE(fs::exists(folder.path() / "out"));
  EXPECT_THAT(dry.out, HasSubstr("# 9 runs, about 55 s, 0.025 core-hours to come, by --guess and ideal scaling\n"));
  EXPECT_EQ(study(options + quick() + command).exit_code, 0);
  std::vector<std::string> printed;
  for (const std::string& line : lines(dry.out)) {
    if (!line.starts_with("#")) printed.push_back(line);
  }
  const std::vector<json> all = runs();
  ASSERT_EQ(printed.size(), all.size());
  for (std::size_t at = 0; at < all.size(); ++at) {
    const std::string ranks = all[at]["argv"][1];
    EXPECT_TRUE(printed[at].ends_with("/out/record.json env " + ranks + " sh -c 'true " + ranks.substr(6) + "'"))
        << printed[at];
  }
}

TEST_F(study_command, other_programs_are_timed_from_launch_to_exit_under_mpirun) {
  const Outcome outcome = study(Arguments{"--ranks", "1,2", "--repeat", "1", "--warmup", "0", "--out", "out", "--",
                                          "sh", "-c", "sleep 0.05; echo $OMPI_COMM_WORLD_SIZE"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  const std::vector<json> all = runs();
  ASSERT_EQ(all.size(), 2U);
  for (std::size_t at = 0; at < all.size(); ++at) {
    EXPECT_EQ(all[at]["argv"][0], "mpirun");
    EXPECT_GT(all[at]["launch_to_exit_s"], 0.05);
    EXPECT_TRUE(all[at]["record"].is_null());
    const std::string printed = read("out/output/000" + std::to_string(at + 1) + ".out");
    EXPECT_EQ(printed, all[at]["ranks"] == 1 ? "1\n" : "2\n2\n");
  }
}

TEST_F(study_command, program_that_writes_a_record_is_measured_by_it) {
  json record = record_of({"pi", "--points", "1e6"});
  record["repetitions_s"] = {0.5, 0.25, 0.125};
  folder.write("record.json", record.dump());
  const Outcome outcome = study(Arguments{"--ranks", "1", "--repeat", "2", "--out", "out"} + quick() +
                                Arguments{"--", "sh", "-c", "cp record.json $ECHELON_RECORD"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.out, HasSubstr("0.2500"));
  EXPECT_EQ(runs().back()["record"], record);
}

TEST_F(study_command, weak_scaling_gives_each_point_its_work) {
  const Outcome outcome = study(Arguments{"--ranks", "1,2,4", "--threads", "1,2", "--weak", "1e3*p", "--repeat", "1",
                                          "--warmup", "0", "--out", "out"} +
                                quick() + Arguments{"--", "sh", "-c", "echo {} $OMP_NUM_THREADS"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  std::map<std::pair<int, int>, std::string> printed;
  for (const json& run : runs()) {
    char name[20];
    std::snprintf(name, sizeof(name), "%04d.out", run["seq"].get<int>());
    printed[{run["ranks"], run["threads"]}] = read(std::string{"out/output/"} + name);
  }
  ASSERT_EQ(printed.size(), 6U);
  for (const auto& [point, text] : printed) {
    EXPECT_EQ(text, std::to_string(1000 * point.first * point.second) + " " + std::to_string(point.second) + "\n");
  }
}

TEST_F(study_command, precision_and_budget_end_it) {
  // It prints what its record says: the same time always, so 6 runs are precise.
  json record = record_of({"pi", "--points", "1e6"});
  record["repetitions_s"] = {0.5};
  folder.write("record.json", record.dump());
  const Arguments command{"--", "sh", "-c", "cp record.json $ECHELON_RECORD"};
  EXPECT_EQ(study(Arguments{"--ranks", "1", "--precision", "5%", "--out", "precise"} + quick() + command).exit_code, 0);
  EXPECT_EQ(runs("precise").size(), 1U + 6);
  const Outcome spent = study(Arguments{"--ranks", "1,2", "--repeat", "1000", "--budget", "0.5", "--out", "spent"} +
                              quick() + Arguments{"--", "sleep", "0.05"});
  EXPECT_EQ(spent.exit_code, 0) << spent;
  EXPECT_THAT(spent.err, HasSubstr("the budget is spent"));
  double sum_s = 0;
  for (const json& run : runs("spent")) sum_s += run["launch_to_exit_s"].get<double>();
  EXPECT_LT(sum_s, 0.5 + 1);
  EXPECT_GE(runs("spent").size(), 1U);
}

TEST_F(study_command, ended_by_its_budget_it_goes_on_with_a_larger_one) {
  const Arguments command = quick() + Arguments{"--", "sh", "-c", "[ -e quick ] || sleep 1000"};
  const Arguments options{"--ranks", "1", "--repeat", "2", "--out", "out"};
  const Outcome spent = study(options + Arguments{"--budget", "0.3"} + command);
  EXPECT_EQ(spent.exit_code, 4) << spent;
  EXPECT_THAT(spent.err, AllOf(HasSubstr("the budget is spent; a run of 1 rank had not ended by then"),
                               HasSubstr("--resume with a larger --budget goes on")));
  EXPECT_THAT(run_files(), IsEmpty());
  folder.write("quick", "");
  EXPECT_EQ(study({"--resume", "--out", "out", "--budget", "60", "--repeat", "3"}).exit_code, 0);
  EXPECT_EQ(runs().size(), 4U);
  const json plan = json::parse(read("out/plan.json"));
  EXPECT_EQ(plan["budget_s"], 60);
  EXPECT_EQ(plan["repeat"], 3);
}

TEST_F(study_command, plan_file_says_what_options_may_change) {
  folder.write("plan.json", R"({"ranks": "1..4:x2", "repeat": 2, "warmup": 0, "launcher": "env R={ranks} {command}",
                                "command": ["true"]})");
  EXPECT_EQ(study(Arguments{"--plan", "plan.json", "--ranks", "1,2", "--out", "out"}).exit_code, 0);
  EXPECT_EQ(runs().size(), 4U);
  const json plan = json::parse(read("out/plan.json"));
  EXPECT_EQ(plan["ranks"], json({1, 2}));
  EXPECT_EQ(plan["schema"], "echelon.plan/1");
  // The plan that a study keeps is one.
  EXPECT_EQ(study(Arguments{"--plan", "out/plan.json", "--out", "again"}).exit_code, 0);
  EXPECT_EQ(runs("again").size(), 4U);
  expect_refused(study(Arguments{"--resume", "--out", "out", "--repeat", "1"}), {"repeat (2 before, 1 now)"});
  folder.write("wrong.json", R"({"rank": 1})");
  folder.write("elsewhere.json", R"({"folder": "/nonexistent", "command": ["true"]})");
  expect_refused(study(Arguments{"--plan", "elsewhere.json"}), {"the folder '/nonexistent'", "is not there"});
  expect_refused(study(Arguments{"--plan", "wrong.json"}), {"--plan", "'rank' is not known"});
  expect_refused(study(Arguments{"--plan", "none.json"}), {"--plan: cannot read 'none.json'"});
}

TEST_F(study_command, failing_points_are_named_with_their_error) {
  const Outcome some =
      study(Arguments{"--ranks", "1,2,3", "--repeat", "2", "--out", "some"} + quick() +
            Arguments{"--", "sh", "-c", "[ $RANKS != 2 ] || { echo of no use; echo it hurts >&2; exit 5; }"});
  EXPECT_EQ(some.exit_code, 3) << some;
  EXPECT_THAT(
      some.out,
      ContainsRegex("run [0-9]+, 2 ranks, .*again, on .*: ended with status 5 .output/000[0-9].err.: it hurts"));
  EXPECT_THAT(some.err, ContainsRegex("run [0-9]+ .2 ranks. failed: ended with status 5 .*: it hurts\n"
                                      "echelon: run [0-9]+ .2 ranks, again. failed: .*\n"
                                      "echelon: 2 ranks: given up after two failures in a row\n(.*\n)*"
                                      "echelon: given up: 2 ranks\n"));
  EXPECT_EQ(runs("some").size(), 2U * 3 + 2);
  const Outcome all = study(Arguments{"--ranks", "1,2", "--out", "all", "--", "pi", "--pionts", "1e6"});
  EXPECT_EQ(all.exit_code, 4) << all;
  EXPECT_THAT(all.err, HasSubstr("--pionts"));
  EXPECT_THAT(all.err, HasSubstr("no run succeeded"));
  EXPECT_EQ(runs("all").size(), 4U);
}

TEST_F(study_command, what_cannot_be_is_refused_in_one_line) {
  const Arguments pi{"--", "pi"};
  expect_refused(study(Arguments{}), {"COMMAND", "echelon study --ranks 1,2 -- pi"});
  expect_refused(study(Arguments{"--ranks", "0"} + pi), {"--ranks", "'0' is too small"});
  expect_refused(study(Arguments{"--ranks", "1,x"} + pi), {"--ranks", "'x' is not a number"});
  expect_refused(study(Arguments{"--repeat", "0"} + pi), {"--repeat"});
  expect_refused(study(Arguments{"--repeat", "3", "--precision", "2%"} + pi), {"--repeat", "--precision"});
  expect_refused(study(Arguments{"--precision", "2"} + pi), {"--precision", "'2' is not a percentage", "5%"});
  expect_refused(study(Arguments{"--precision", "150%"} + pi), {"--precision", "less than 100 %"});
  expect_refused(study(Arguments{"--precision", "2%", "--max-repeat", "3"} + pi), {"--max-repeat", "give 6 or more"});
  expect_refused(study(Arguments{"--max-repeat", "9"} + pi), {"--max-repeat: it is for --precision"});
  expect_refused(study(Arguments{"--ranks", "1", "--ranks", "2"} + pi), {"--ranks", "see echelon study --help"});
  expect_refused(study(Arguments{"--weak", "", "--", "pi", "--points", "{}"}), {"--weak", "empty"});
  expect_refused(study(Arguments{"--", "./\xff"}), {"COMMAND", "not UTF-8"});
  expect_refused(study(Arguments{"--", "/etc/passwd"}), {"COMMAND: '/etc/passwd' is not executable"});
  expect_refused(study(Arguments{"--", "/etc"}), {"COMMAND: '/etc' is not executable"});
  expect_refused(study(Arguments{"--budget", "soon"} + pi), {"--budget", "'soon' is not a time"});
  expect_refused(study(Arguments{"--baseline", "3"} + pi), {"--baseline: 3 is not one of the ranks"});
  expect_refused(study(Arguments{"--weak", "1e8*q", "--", "pi", "--points", "{}"}), {"--weak", "q"});
  expect_refused(study(Arguments{"--weak", "1e8*p"} + pi), {"--weak", "{}"});
  expect_refused(study(Arguments{"--launcher", "mprun"} + pi), {"--launcher", "'mprun' is not known"});
  expect_refused(study(Arguments{"--threads", "1,2", "--", "queue"}), {"--threads", "queue"});
  expect_refused(study(Arguments{"--", "pi", "-n", "4"}), {"-n", "--ranks"});
  expect_refused(study(Arguments{"--", "./nosuchprogram"}), {"./nosuchprogram"});
  expect_refused(study(Arguments{"--", ""}), {"COMMAND"});
  expect_refused(study(Arguments{"--resume"}), {"--resume", "--out"});
  expect_refused(study(Arguments{"--resume", "--out", "none"}), {"'none' has no study"});
  expect_refused(run_echelon({"-n", "2", "study", "--", "pi"}, here()), {"-n", "--ranks"});
  const Outcome launched = run_mpirun(2, {"study", "--", "pi"}, here());
  EXPECT_EQ(launched.exit_code, 2) << launched;
  EXPECT_THAT(launched.err, HasSubstr("echelon: study: a launcher has started this; leave it out"));
  expect_refused(study(Arguments{"--out", "/proc/study"} + pi), {"--out"});
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST_F(study_command, quiet_prints_where_it_is_and_the_default_is_here) {
  const Outcome outcome =
      study(Arguments{"--ranks", "1", "--repeat", "1", "--quiet"} + quick() + Arguments{"--", "true"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out, MatchesRegex("study-[0-9]+-[0-9]+\n"));
  EXPECT_EQ(runs(outcome.out.substr(0, outcome.out.size() - 1)).size(), 2U);
}

TEST_F(study_command, folder_in_use_or_taken_is_refused) {
  const Arguments command = Arguments{"--ranks", "1", "--repeat", "1", "--out", "out"} + quick();
  RunningProgram first{echelon_command(Arguments{"study"} + command + Arguments{"--", "sleep", "1000"}), here()};
  ASSERT_TRUE(wait_until([&] { return fs::exists(folder.path() / "out/output/0001.out"); }));
  expect_refused(study(Arguments{"--resume", "--out", "out"}), {"another study is at work"});
  kill(first.pid(), SIGTERM);
  EXPECT_EQ(first.wait().exit_code, 75);
  expect_refused(study(command + Arguments{"--", "true"}), {"has a study already", "--resume"});
}

TEST_F(study_command, request_to_stop_leaves_nothing_and_says_how_to_go_on) {
  const std::vector<std::pair<int, Arguments>> requests{{SIGINT, {"pi", "--points", "1e12"}},
                                                        {SIGTERM, {"pi", "--points", "1e12"}},
                                                        {SIGUSR1, {"sh", "-c", "while :; do :; done"}}};
  for (const auto& [signal, command] : requests) {
    const std::string out = "out" + std::to_string(signal);
    RunningProgram program{
        echelon_command(Arguments{"study", "--ranks", "2", "--repeat", "2", "--warmup", "0", "--out", out, "--"} +
                        command),
        here()};
    const pid_t pid = program.pid();
    ASSERT_TRUE(wait_until([pid] { return ranks_at_work(pid).size() == 2; }));
    kill(pid, signal);
    const Outcome outcome = program.wait();
    EXPECT_EQ(outcome.exit_code, 75) << outcome;
    EXPECT_THAT(outcome.err, HasSubstr("echelon study --resume --out " + out));
    EXPECT_THAT(run_files(out), IsEmpty());
    expect_nothing_left();
  }
}

TEST_F(study_command, within_slurm_programs_are_started_by_srun) {
  folder.write("bin/srun",
               "#!/bin/sh\n[ $1 != --mpi=list ] || { echo pmix; exit; }\n"
               "while :; do case $1 in --ntasks=*) n=${1#*=} ;; --*) ;; *) break ;; esac; shift; done\n"
               "for i in $(seq $n); do \"$@\"; done\n");
  folder.write("bin/scontrol", "#!/bin/sh\necho 'TaskPlugin = task/affinity'\n");
  for (const char* program : {"bin/srun", "bin/scontrol"}) {
    fs::permissions(folder.path() / program, fs::perms::owner_all);
  }
  RunOptions options = here();
  options.environment["PATH"] = (folder.path() / "bin").string() + ":" + std::getenv("PATH");
  options.environment["SLURM_JOB_ID"] = "1";
  options.environment["SLURM_JOB_CPUS_PER_NODE"] = "4(x2)";
  options.environment["SLURM_JOB_NODELIST"] = "node[08-09]";
  const Outcome outcome = run_echelon({"study", "--ranks", "1,3", "--threads", "2", "--repeat", "1", "--warmup", "0",
                                       "--out", "out", "--", "sh", "-c", "echo $OMP_NUM_THREADS"},
                                      options);
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.out, HasSubstr("the nodes of the SLURM job: node08, node09\n"));
  for (const json& run : runs()) {
    const std::string ranks = std::to_string(run["ranks"].get<int>());
    EXPECT_EQ(run["argv"],
              json({"srun", "--mpi=pmix", "--ntasks=" + ranks, "--cpus-per-task=2", "--export=ALL",
                    "--kill-on-bad-exit=1", "--quit-on-interrupt", ranks == "1" ? "--nodes=1" : "--nodes=2",
                    "--distribution=block,Pack", "--cpu-bind=cores", "sh", "-c", "echo $OMP_NUM_THREADS"}));
    EXPECT_TRUE(run["cpu_s"].is_null()) << "it is on other nodes";
    EXPECT_EQ(run["allocation"], json({"node08", "node09"}));
    EXPECT_EQ(read("out/output/000" + std::to_string(run["seq"].get<int>()) + ".out"),
              ranks == "1" ? "2\n" : "2\n2\n2\n");
  }
}

// SIGKILL at 20 random moments: the study that comes out is the one that was asked for, and what was kept once is not
// touched again.
TEST_F(study_command, killed_anywhere_it_loses_no_finished_run_and_repeats_none) {
  const Arguments command = Arguments{"--ranks", "1,2,3", "--repeat", "25", "--out", "out", "--quiet"} + quick() +
                            Arguments{"--", "sh", "-c", "sleep 0.01; echo $RANKS >> ended"};
  std::mt19937 random{20261121};
  std::uniform_int_distribution<int> pause_ms{15, 150};
  std::map<std::string, std::string> kept;
  int killed = 0;
  for (int round = 0; round < 20; ++round) {
    RunningProgram program{echelon_command(Arguments{"study", "--resume"} + command), here()};
    poll(nullptr, 0, pause_ms(random));
    kill(program.pid(), SIGKILL);
    killed += program.wait().signal == SIGKILL ? 1 : 0;
    const auto now = run_files();
    for (const auto& [name, text] : kept) {
      ASSERT_TRUE(now.contains(name)) << name << " is lost in round " << round;
      EXPECT_EQ(now.at(name), text) << name << " was run again in round " << round;
    }
    for (const auto& [name, text] : now) EXPECT_FALSE(json::parse(text, nullptr, false).is_discarded()) << name;
    kept = now;
  }
  EXPECT_GE(killed, 15) << "the others had ended before";
  const Outcome outcome = study(Arguments{"--resume"} + command);
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  const std::vector<json> all = runs();
  ASSERT_EQ(all.size(), 3U * 26);
  std::map<int, int> measured;
  for (std::size_t at = 0; at < all.size(); ++at) {
    EXPECT_EQ(all[at]["seq"], at + 1);
    EXPECT_EQ(all[at]["error"], "");
    if (!all[at]["warmup"]) ++measured[all[at]["ranks"]];
  }
  EXPECT_THAT(measured, ElementsAre(std::pair{1, 25}, std::pair{2, 25}, std::pair{3, 25}));
  // A run that ended while its study was killed may have said so without being kept.
  const std::size_t ended = lines(read("ended")).size();
  EXPECT_GE(ended, all.size());
  EXPECT_LE(ended, all.size() + 20);
}

}  // namespace
}  // namespace echelon::test
