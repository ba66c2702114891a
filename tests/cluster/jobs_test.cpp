// The job files of jobs/slurm, on the cluster.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/cluster.hpp"

namespace echelon::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

const std::string slurm_files = ECHELON_PROJECT "/jobs/slurm/";

class cluster_jobs : public cluster {
 protected:
  using Variables = std::map<std::string, std::optional<std::string>>;

  void TearDown() override {
    if (!IsSkipped()) (void)on_ctl({"scancel", "--user=root"});
    cluster::TearDown();
  }

  Outcome in_folder(const Arguments& command, const Variables& variables = {}) const {
    RunOptions options{.folder = folder_.path()};
    options.environment = {{"ECHELON", ECHELON_PROGRAM}, {"ECHELON_SYSTEM", "testbed"}};
    for (const auto& [name, value] : variables) options.environment[name] = value;
    return on_ctl(command, options);
  }

  /// sbatch WORDS...; the job's number.
  std::string submit(const Arguments& words, const Variables& variables = {}) const {
    const Outcome submitted = in_folder(Arguments{"sbatch", "--parsable"} + words, variables);
    EXPECT_EQ(submitted.exit_code, 0) << submitted;
    return lines(submitted.out + "\n").front();
  }

  static std::string of_job(const std::string& id, const std::string& name) {
    return word_after(name + "=", on_ctl({"scontrol", "--oneliner", "show", "job", id}).out);
  }

  /// How a job ended; one that waits for SLURM's two minutes after a requeue is let go at once.
  static std::string end_of(const std::string& id, std::chrono::seconds limit = std::chrono::seconds{90}) {
    std::string state;
    EXPECT_TRUE(wait_until(
        [&] {
          state = of_job(id, " JobState");
          if (state == "PENDING" && of_job(id, " Reason") == "BeginTime") let_go(id);
          return state != "PENDING" && state != "RUNNING" && state != "COMPLETING";
        },
        limit))
        << "job " << id << " goes on, which is cancelled";
    (void)on_ctl({"scancel", id});
    return state;
  }
  /// Not before its first run is gone from all nodes, for which these two minutes are.
  static void let_go(const std::string& id) {
    const std::string look = "! ls /run/slurm/spool | grep -q _" + id;
    for (const char* node : nodes) {
      EXPECT_TRUE(wait_until([&] { return on(node, {"bash", "-c", look}).exit_code == 0; })) << node;
    }
    (void)on_ctl({"scontrol", "update", "JobId=" + id, "StartTime=now"});
  }

  /// Lines of the file, sorted, are those of 1 to `count` in words like "task 7".
  void expect_each_once(const std::string& file, int count) const {
    std::vector<std::string> found = lines(contents(file));
    std::vector<std::string> expected;
    for (int i = 1; i <= count; ++i) expected.push_back("task " + std::to_string(i));
    EXPECT_THAT(found, testing::UnorderedElementsAreArray(expected));
  }
  void write_inputs(int count) const {
    std::string text;
    for (int i = 1; i <= count; ++i) text += std::to_string(i) + "\n";
    folder_.write("inputs", text);
  }
  /// So long as there is no file `fast` each takes two seconds.
  const std::string task_ = "[ -e fast ] || sleep 2; echo task {}";
  bool has_lines(const std::string& file, std::size_t count) const {
    return wait_until([&] { return lines(contents(file)).size() >= count; });
  }
};

TEST_F(cluster_jobs, study_in_one_allocation_and_by_buckets_has_all_points) {
  const Arguments study{"--ranks", "1,2,4", "--repeat", "2", "--warmup", "0", "--", "pi", "--points", "1e7"};
  const std::string one = submit(Arguments{"--nodes=2", "--job-name=one", slurm_files + "study.sbatch"} + study);
  const Outcome submitted = in_folder(Arguments{slurm_files + "submit_study.sh", "--buckets", "1,2"} + study,
                                      {{"YES", "1"}, {"RESULTS", (folder_.path() / "buckets").string()}});
  EXPECT_EQ(submitted.exit_code, 0) << submitted;
  EXPECT_THAT(submitted.out,
              AllOf(ContainsRegex("\n +1 +00:30:00 +- +0.5  1,2\n"), ContainsRegex("\n +all +- +1.5  1,2,4\n")));
  EXPECT_EQ(end_of(one), "COMPLETED") << contents("one-" + one + ".log");
  const std::string last = word_after("when job ", submitted.out);
  EXPECT_EQ(end_of(last), "COMPLETED") << contents("buckets/study-report-" + last + ".log");
  for (const char* report : {"one/report/report.txt", "buckets/report/report.txt"}) {
    EXPECT_THAT(contents(report),
                AllOf(ContainsRegex("\n +1 +1 +1 +2 +[0-9.]+ "), ContainsRegex("\n +1 +2 +1 +2 +[0-9.]+ "),
                      ContainsRegex("\n +2 +4 +1 +2 +[0-9.]+ "), Not(HasSubstr("no run succeeded"))))
        << report;
  }
  EXPECT_THAT(contents("buckets/report/report.txt"), ContainsRegex("nodes-1: echelon study .* 4\\s+runs on n[1-4], "));
  EXPECT_TRUE(fs::exists(folder_.path() / "buckets/report/report.html"));
  EXPECT_TRUE(fs::exists(folder_.path() / ("one/job-" + one) / "study.sbatch"));
}

TEST_F(cluster_jobs, study_that_is_told_of_its_limit_goes_on) {
  const std::string id = submit({"--nodes=1", slurm_files + "study.sbatch", "--ranks", "1,2", "--repeat", "3",
                                 "--warmup", "0", "--", "sh", "-c", "sleep 1"});
  ASSERT_TRUE(wait_until([&] { return fs::exists(folder_.path() / "study/runs/0002.json"); }));
  EXPECT_EQ(on_ctl({"scancel", "--batch", "--signal=USR1", id}).exit_code, 0);
  EXPECT_EQ(end_of(id), "COMPLETED") << contents("study-" + id + ".log");
  EXPECT_EQ(of_job(id, " Restarts"), "1");
  EXPECT_THAT(contents("study-" + id + ".log"), HasSubstr("is in the queue again, and goes on there"));
  EXPECT_TRUE(fs::exists(folder_.path() / "study/runs/0006.json"));
  EXPECT_FALSE(fs::exists(folder_.path() / "study/runs/0007.json"));
  EXPECT_TRUE(fs::exists(folder_.path() / ("study/job-" + id + ".1") / "info.json"));
}

/// SLURM looks at limits every half minute, and warns at the last look before the time that is asked for: here 20 to 50
/// s after the start, when tasks have ended.
TEST_F(cluster_jobs, map_that_meets_its_time_limit_goes_on_by_itself) {
  constexpr int tasks = 120;
  write_inputs(tasks);
  const std::string id = submit(
      {"--nodes=2", "--time=1", "--signal=B:USR1@10", slurm_files + "map.sbatch", "--arg-file", "inputs", task_});
  const std::string log = "map-" + id + ".log";
  ASSERT_TRUE(wait_until([&] { return contents(log).find("in the queue again") != std::string::npos; },
                         std::chrono::seconds{90}))
      << contents(log);
  folder_.write("fast", "");
  EXPECT_EQ(end_of(id), "COMPLETED") << contents(log);
  EXPECT_EQ(of_job(id, " Restarts"), "1");
  expect_each_once("map/output.txt", tasks);
  EXPECT_THAT(contents(log), AllOf(HasSubstr("stopped by a signal"), HasSubstr(" had ended before ")));
}

TEST_F(cluster_jobs, map_that_was_cancelled_goes_on_when_submitted_again) {
  constexpr int tasks = 40;
  write_inputs(tasks);
  const Arguments job{"--nodes=2", slurm_files + "map.sbatch", "--arg-file", "inputs", task_};
  const std::string first = submit(job);
  ASSERT_TRUE(has_lines("map/output.txt", 4)) << contents("map-" + first + ".log");
  EXPECT_EQ(on_ctl({"scancel", first}).exit_code, 0);
  EXPECT_EQ(end_of(first), "CANCELLED");
  EXPECT_EQ(of_job(first, " Restarts"), "0");
  EXPECT_LT(lines(contents("map/output.txt")).size(), tasks);
  folder_.write("fast", "");
  const std::string second = submit(job);
  EXPECT_EQ(end_of(second), "COMPLETED") << contents("map-" + second + ".log");
  expect_each_once("map/output.txt", tasks);
}

TEST_F(cluster_jobs, map_that_loses_its_first_node_goes_on_by_itself) {
  constexpr int tasks = 40;
  write_inputs(tasks);
  const std::string id =
      submit({"--nodes=2", "--nodelist=n[1-2]", slurm_files + "map.sbatch", "--arg-file", "inputs", task_});
  ASSERT_TRUE(has_lines("map/output.txt", 2)) << contents("map-" + id + ".log");
  power_off("n1");
  EXPECT_LT(lines(contents("map/output.txt")).size(), tasks);
  folder_.write("fast", "");
  power_on("n1");
  EXPECT_EQ(end_of(id), "COMPLETED") << contents("map-" + id + ".log");
  EXPECT_EQ(of_job(id, " Restarts"), "1");
  expect_each_once("map/output.txt", tasks);
  // mpirun's daemon there waits for the lost mpirun until SLURM ends it, and may be too slow to take its files away.
  EXPECT_EQ(on("n2", {"bash", "-c", "rm -rf /run/ompi.*"}).exit_code, 0);
}

TEST_F(cluster_jobs, map_in_which_nothing_ends_is_not_repeated) {
  write_inputs(3);
  const std::string id = submit({"--nodes=1", slurm_files + "map.sbatch", "--grace", "1", "--arg-file", "inputs",
                                 "touch began; sleep 100; echo {}"});
  ASSERT_TRUE(wait_until([&] { return fs::exists(folder_.path() / "began"); }));
  EXPECT_EQ(on_ctl({"scancel", "--batch", "--signal=USR1", id}).exit_code, 0);
  EXPECT_EQ(end_of(id), "FAILED");
  EXPECT_EQ(of_job(id, " ExitCode"), "75:0");
  EXPECT_THAT(contents("map-" + id + ".log"), HasSubstr("submit it again with a longer --time"));
}

TEST_F(cluster_jobs, second_job_on_the_same_journal_refuses) {
  constexpr int tasks = 20;
  write_inputs(tasks);
  // One CPU of each node is left for the second.
  const Arguments job{"--nodes=2", "--ntasks-per-node=1", slurm_files + "map.sbatch", "--arg-file", "inputs", task_};
  const std::string first = submit(job);
  ASSERT_TRUE(has_lines("map/output.txt", 1)) << contents("map-" + first + ".log");
  const std::string second = submit(job);
  EXPECT_EQ(end_of(second), "FAILED");
  EXPECT_EQ(of_job(second, " ExitCode"), "2:0");
  EXPECT_EQ(of_job(second, " NodeList"), of_job(first, " NodeList"));
  EXPECT_THAT(contents("map-" + second + ".log"), HasSubstr("map/output.txt.journal' is in use"));
  folder_.write("fast", "");
  EXPECT_EQ(end_of(first), "COMPLETED");
  expect_each_once("map/output.txt", tasks);
}

/// Of Echelon in a folder with a blank in its name, without the environment of who submits.
TEST_F(cluster_jobs, tasks_of_an_array_have_each_a_folder) {
  fs::create_directory_symlink(ECHELON_PROJECT, folder_.path() / "with blank");
  const std::string id = submit({"--array=1-2", "--export=ECHELON=" ECHELON_PROGRAM ",ECHELON_SYSTEM=testbed",
                                 "with blank/jobs/slurm/pi.sbatch", "--points", "1e6"});
  for (const std::string task : {"1", "2"}) {
    EXPECT_EQ(end_of(id + "_" + task), "COMPLETED");
    EXPECT_EQ(std::distance(fs::directory_iterator{folder_.path() / ("pi-" + task)}, {}), 1);
  }
}

TEST_F(cluster_jobs, what_is_missing_is_said_with_what_to_do) {
  folder_.write("modules.env", "ECHELON_MODULES=nonesuch/1.0\n");
  folder_.write("bin/srun", "#!/bin/sh\necho none\n");
  fs::permissions(folder_.path() / "bin/srun", fs::perms::owner_all);
  const std::string program = "/dev/shm/echelon";
  const std::vector<std::pair<Variables, std::string>> missing{
      {{{"ECHELON_SYSTEM", (folder_.path() / "modules.env").string()}}, "'nonesuch/1.0'; empty ECHELON_MODULES in"},
      {{{"ECHELON_LAUNCHER", "srun"}, {"PATH", folder_.path().string() + "/bin:" + std::getenv("PATH")}},
       "srun has no PMIx here (srun --mpi=list), by which ranks find each other; set ECHELON_LAUNCHER="},
      {{{"RESULTS", "/dev/shm/results"}}, "/dev/shm/results is not seen on n2; submit from a folder that all nodes"},
      {{{"ECHELON", program}}, program + " is not seen on n2; install it in a folder that all nodes share"}};
  EXPECT_EQ(on("n1", {"cp", ECHELON_PROGRAM, program}).exit_code, 0);
  for (const auto& [variables, why] : missing) {
    const std::string id = submit({"--nodes=2", "--nodelist=n[1-2]", slurm_files + "pi.sbatch"}, variables);
    EXPECT_EQ(end_of(id), "FAILED");
    EXPECT_EQ(of_job(id, " ExitCode"), "2:0");
    EXPECT_THAT(contents("pi-" + id + ".log"), HasSubstr(why));
  }
  EXPECT_EQ(on("n1", {"rm", program}).exit_code, 0);
}

}  // namespace
}  // namespace echelon::test
