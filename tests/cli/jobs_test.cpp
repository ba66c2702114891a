// The job files of jobs/, as far as that needs no SLURM; tests/cluster/jobs_test.cpp has the rest.
#include <cstdlib>
#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

const std::string jobs = ECHELON_PROJECT "/jobs";

class job_files : public testing::Test {
 protected:
  RunOptions options(std::map<std::string, std::optional<std::string>> more) const {
    RunOptions all{.folder = folder.path()};
    all.environment["ECHELON"] = ECHELON_PROGRAM;
    for (const char* name :
         {"ECHELON_HOME", "ECHELON_SYSTEM", "ECHELON_MODULES", "ECHELON_LAUNCHER", "RESULTS", "SLURM_JOB_ID",
          "SLURM_JOB_NAME", "SLURM_CLUSTER_NAME", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"}) {
      all.environment[name] = std::nullopt;
    }
    for (const auto& [name, value] : more) all.environment[name] = value;
    return all;
  }
  Outcome dry_run(const std::string& file, const Arguments& arguments = {},
                  std::map<std::string, std::optional<std::string>> more = {}) const {
    more["DRY_RUN"] = "1";
    return run_program(Arguments{file} + arguments, options(more));
  }
  /// A folder of programs for PATH.
  std::string path_with(const std::string& name, const std::string& text) const {
    folder.write("bin/" + name, "#!/bin/sh\n" + text);
    fs::permissions(folder.path() / "bin" / name, fs::perms::owner_all);
    return folder.path().string() + "/bin:" + std::getenv("PATH");
  }

  TemporaryFolder folder;
};

TEST_F(job_files, say_what_they_would_do) {
  const std::string echelon = "+ " ECHELON_PROGRAM " ";
  EXPECT_THAT(dry_run(jobs + "/slurm/pi.sbatch").out,
              AllOf(HasSubstr(echelon + "-n all --launcher auto pi --threads 1 --json /"),
                    HasSubstr(" --points 1e11 --repeat 5 --kernel direct\n")));
  EXPECT_THAT(dry_run(jobs + "/slurm/pi.sbatch", {"--points", "7"}).out, HasSubstr(" --points 7\n"));
  const std::string here = fs::canonical(folder.path());
  EXPECT_EQ(dry_run(jobs + "/slurm/study.sbatch", {"--ranks", "1,2", "--", "./solver", "a b"}).out,
            echelon + "study --resume --out " + here + "/study --launcher auto --ranks 1,2 -- ./solver 'a b'\n");
  EXPECT_EQ(dry_run(jobs + "/slurm/map.sbatch", {"-a", "list", "work {}"}).out,
            echelon + "-n all map --resume --output " + here + "/map/output.txt -a list 'work {}'\n");
  EXPECT_EQ(dry_run(jobs + "/slurm/report.sbatch", {"a", "b"}).out, echelon + "report --out " + here + "/report a b\n");
  EXPECT_TRUE(fs::is_empty(folder.path())) << "nothing is written";
}

TEST_F(job_files, take_relative_paths_and_give_each_task_of_an_array_a_folder) {
  const std::string here = fs::canonical(folder.path());
  EXPECT_EQ(dry_run(jobs + "/slurm/map.sbatch", {"work"}, {{"RESULTS", "of/it"}, {"ECHELON", "./echelon"}}).out,
            "+ " + here + "/echelon -n all map --resume --output " + here + "/of/it/output.txt work\n");
  EXPECT_THAT(
      dry_run(jobs + "/slurm/study.sbatch", {}, {{"SLURM_ARRAY_TASK_ID", "3"}, {"SLURM_JOB_NAME", "sizes"}}).out,
      HasSubstr(" --out " + here + "/sizes-3 "));
}

TEST_F(job_files, of_a_map_take_mpirun_whatever_the_setting) {
  folder.write("none.env", "ECHELON_LAUNCHER=srun\ncommand() { [ \"$2\" != mpirun ] && builtin command \"$@\"; }\n");
  const std::string settings = folder.path() / "none.env";
  const Outcome outcome =
      run_program({jobs + "/slurm/map.sbatch"}, options({{"SLURM_JOB_ID", "1"}, {"ECHELON_SYSTEM", settings}}));
  EXPECT_EQ(outcome.err,
            "map.sbatch: there is no mpirun; name Open MPI's module in ECHELON_MODULES of " + settings + "\n");
  EXPECT_EQ(outcome.exit_code, 2);
}

TEST_F(job_files, report_without_studies_says_so) {
  const Outcome outcome =
      run_program({jobs + "/slurm/report.sbatch", "none"}, options({{"SLURM_JOB_ID", "1"}, {"SLURM_NTASKS", "1"}}));
  EXPECT_EQ(outcome.exit_code, 2) << outcome;
  EXPECT_THAT(outcome.err, AllOf(testing::StartsWith("report.sbatch: none has no study"),
                                 HasSubstr("\nreport.sbatch: there is no study to report; give ")));
}

TEST_F(job_files, work_where_they_were_copied_to) {
  fs::copy(jobs + "/slurm/map.sbatch", folder.path() / "mine");
  const std::string file = folder.path() / "mine";
  const Outcome lost = dry_run(file);
  EXPECT_EQ(lost.exit_code, 2) << lost;
  EXPECT_EQ(lost.err, "set ECHELON_HOME to Echelon's sources, or PREFIX/share/echelon\n");
  const Outcome by_home = run_program({file}, options({{"DRY_RUN", "1"}, {"ECHELON_HOME", ECHELON_PROJECT}}));
  EXPECT_THAT(by_home.out, HasSubstr(" map --resume ")) << by_home;
  // As installed.
  const fs::path prefix = folder.path() / "prefix";
  fs::create_directories(prefix / "share/echelon/jobs");
  fs::create_directories(prefix / "bin");
  for (const char* part : {"slurm", "systems"}) {
    fs::copy(jobs + "/" + part, prefix / "share/echelon/jobs" / part, fs::copy_options::recursive);
  }
  fs::create_symlink(ECHELON_PROGRAM, prefix / "bin/echelon");
  const std::string path = (prefix / "bin").string() + ":" + std::getenv("PATH");
  const Outcome by_path = run_program({file}, options({{"DRY_RUN", "1"}, {"PATH", path}, {"ECHELON", std::nullopt}}));
  EXPECT_THAT(by_path.out, HasSubstr("+ " + (prefix / "bin/echelon").string() + " -n all map ")) << by_path;
  const Outcome module_only = run_program(
      {file},
      options({{"DRY_RUN", "1"}, {"ECHELON", std::nullopt}, {"ECHELON_HOME", (prefix / "share/echelon").string()}}));
  EXPECT_THAT(module_only.out, HasSubstr("/bin/echelon -n all map ")) << module_only;
}

TEST_F(job_files, what_is_missing_is_one_line_that_says_what_to_do) {
  folder.write("modules.env", "ECHELON_MODULES=nonesuch/1.0\n");
  folder.write("refused.env", "ECHELON_MODULES=nonesuch/1.0\nmodule() { return 1; }\n");
  folder.write("srun.env", "ECHELON_LAUNCHER=srun\n");
  const std::string path = path_with("srun", "echo 'MPI plugin types are...'; echo none; echo pmi2\n");
  const auto settings = [&](const std::string& name) { return (folder.path() / name).string(); };
  const std::vector<std::pair<std::map<std::string, std::optional<std::string>>, std::string>> missing{
      {{{"SLURM_JOB_ID", std::nullopt}}, "submit it with sbatch, or try it with DRY_RUN=1"},
      {{{"ECHELON_SYSTEM", "nowhere"}}, "nowhere.env; set ECHELON_SYSTEM"},
      {{{"ECHELON_SYSTEM", settings("modules.env")}}, "there is no module command here for 'nonesuch/1.0'; empty"},
      {{{"ECHELON_SYSTEM", settings("refused.env")}}, "module 'nonesuch/1.0' cannot be loaded; see module avail"},
      {{{"ECHELON_SYSTEM", settings("srun.env")}, {"PATH", path}}, "; set ECHELON_LAUNCHER=mpirun in "},
      {{{"ECHELON", "/none/echelon"}}, "/none/echelon does not start"},
      {{{"RESULTS", "/proc/none"}}, "cannot write /proc/none; submit from a folder that you may write to"},
  };
  for (const auto& [environment, why] : missing) {
    auto all = environment;
    all.try_emplace("SLURM_JOB_ID", "1");
    const Outcome outcome = run_program({jobs + "/slurm/pi.sbatch"}, options(all));
    EXPECT_EQ(outcome.exit_code, 2) << outcome;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr("pi.sbatch: "));
    EXPECT_THAT(outcome.err, HasSubstr(why));
  }
}

TEST_F(job_files, what_explains_a_result_is_kept_without_secrets) {
  const Outcome outcome =
      run_program({jobs + "/slurm/pi.sbatch", "--points", "1e6"},
                  options({{"SLURM_JOB_ID", "7"}, {"API_TOKEN", "hush"}, {"OPENLY", "said"}, {"SLURM_NTASKS", "1"}}));
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  const auto kept = [&](const std::string& name) {
    std::ostringstream text;
    text << std::ifstream{folder.path() / "pi/job-7" / name}.rdbuf();
    return text.str();
  };
  EXPECT_THAT(kept("environment"), AllOf(HasSubstr("API_TOKEN=(left out)\n"), HasSubstr("\nOPENLY=said\n"),
                                         testing::Not(HasSubstr("hush"))));
  EXPECT_THAT(kept("version"), testing::StartsWith("echelon "));
  EXPECT_THAT(kept("info.json"), HasSubstr("\"cpu_model\""));
  EXPECT_THAT(kept("pi.json"), HasSubstr("\"value_hex\""));
  EXPECT_THAT(kept("pi.sbatch"), HasSubstr("#SBATCH --job-name=pi"));
  EXPECT_THAT(kept("generic.env"), HasSubstr("ECHELON_LAUNCHER"));
}

TEST_F(job_files, buckets_say_what_they_cost_before_they_ask) {
  const std::string file = jobs + "/slurm/submit_study.sh";
  const Arguments arguments{"--ranks",  "1,2,4,8", "--ranks-per-node", "2", "--buckets", "1,2,4",
                            "--guess",  "30",      "--repeat",         "7", "--",        "pi",
                            "--points", "1e10"};
  const Outcome outcome = dry_run(file, arguments);
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.out, testing::StartsWith("nodes  time limit  node-hours, guessed  at most  ranks\n"
                                               "    1    00:30:00                  0.1      0.5  1,2\n"
                                               "    2    00:30:00               0.0333        1  4\n"
                                               "    4    00:30:00               0.0333        2  8\n"
                                               "  all                            0.167      3.5  1,2,4,8\n"));
  EXPECT_THAT(outcome.out, HasSubstr("In one allocation of 4 nodes: 0.5 node-hours, guessed.\n"));
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("--nodes=2 --ntasks-per-node=2 "),
                                 HasSubstr("/study.sbatch --ranks 4 --repeat 7 -- pi --points 1e10\n"),
                                 HasSubstr("--dependency=afterany:")));
  const Outcome asked = run_program(Arguments{file} + arguments, options({{"YES", std::nullopt}}));
  EXPECT_EQ(asked.exit_code, 2) << asked;
  EXPECT_THAT(asked.out, HasSubstr("  all                            0.167 "));
  EXPECT_THAT(asked.err, HasSubstr("YES=1"));
  const std::vector<std::pair<Arguments, std::string>> refused{
      {{}, "there is no command"},
      {{"--ranks", "1-4", "--ranks-per-node", "2", "--", "pi"}, "--ranks: '1-4' is no list"},
      {{"--ranks", "1", "--", "pi"}, "--ranks-per-node"},
      {{"--ranks", "64", "--ranks-per-node", "2", "--buckets", "1,4", "--", "pi"}, "--buckets: 64 ranks need 32 nodes"},
      {{"--ranks", "1", "--ranks-per-node", "2", "--time", "soon", "--", "pi"}, "--time: 'soon'"},
      {{"--ranks", "1", "--ranks-per-node", "2", "--out", "x", "--", "pi"}, "--out is this script's to give"},
      {{"--ranks", "1", "--ranks-per-node", "2", "--repeat", "x", "--", "pi"}, "--repeat: 'x' is no number of runs"},
      {{"--ranks=1", "--ranks-per-node=2", "--warmup=1e0", "--", "pi"}, "--warmup: '1e0' is no number of runs"},
      {{"--ranks", "1", "--ranks-per-node", "2", "--guess", "1.2.3", "--", "pi"}, "--guess: '1.2.3' is no time"},
      {{"--ranks", "1", "--ranks-per-node", "2", "--repeats", "3", "--", "pi"}, "not expected: --repeats"}};
  for (const auto& [wrong, why] : refused) {
    const Outcome no = dry_run(file, wrong);
    EXPECT_EQ(no.exit_code, 2) << no;
    EXPECT_EQ(lines(no.err).size(), 1U) << no;
    EXPECT_THAT(no.err, HasSubstr(why));
    EXPECT_THAT(no.err, testing::StartsWith("submit_study.sh: "));
  }
  EXPECT_THAT(dry_run(file, {"--help"}).out, AllOf(testing::StartsWith("A scaling study as several jobs"),
                                                   HasSubstr("\n  submit_study.sh --ranks "), HasSubstr("DRY_RUN=1")));
  const Outcome octal = dry_run(file, {"--ranks", "1", "--ranks-per-node", "1", "--guess", "360", "--repeat", "08",
                                       "--warmup", "2", "--", "elsewhere"});
  EXPECT_THAT(octal.out, HasSubstr("                    1      0.5  1\n")) << octal;
}

TEST_F(job_files, buckets_are_submitted_with_all_that_their_jobs_need) {
  const Arguments command{jobs + "/slurm/submit_study.sh", "--ranks", "1,2", "--ranks-per-node", "1", "--", "pi"};
  const std::map<std::string, std::optional<std::string>> variables{
      {"RESULTS", (folder.path() / "at 50%").string()},
      {"PATH", path_with("sbatch", "[ -e refuse ] && exit 1; echo sbatch \"$@\" >&2; touch refuse; echo '17;here'\n")}};
  const std::string results = fs::canonical(folder.path()).string() + "/at 50%";
  auto dry = variables;
  dry["DRY_RUN"] = "1";
  EXPECT_THAT(run_program(command, options(dry)).err,
              testing::StartsWith("+ env 'RESULTS=" + results +
                                  "/nodes-1' ECHELON_HOME=" ECHELON_PROJECT
                                  " sbatch --parsable --export=ALL --job-name=study-1 '--output=" +
                                  results + "%/%x-%j.log' --nodes=1 "));
  auto wet = variables;
  wet["YES"] = "1";
  const Outcome outcome = run_program(command, options(wet));
  EXPECT_EQ(outcome.exit_code, 2) << outcome;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("\nsbatch --parsable --export=ALL --job-name=study-1 --output=" + results +
                                           "%/%x-%j.log --nodes=1 "),
                                 testing::EndsWith("\nsubmit_study.sh: sbatch refuses study-2: see above; in the queue "
                                                   "already: 17 (scancel takes them away)\n")));
}

}  // namespace
}  // namespace echelon::test
