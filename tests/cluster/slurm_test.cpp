// The cluster itself: where one of these fails, look at tests/cluster/*.sh before Echelon.
#include <filesystem>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/cluster.hpp"

namespace echelon::test {
namespace {

using slurm = cluster;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

/// Whether n2 can be reached from ctl, by its slurmd.
constexpr const char* reach = "timeout 1 bash -c '>/dev/tcp/10.77.0.2/6818'";

TEST_F(slurm, has_four_idle_nodes) {
  EXPECT_THAT(lines(on_ctl({"sinfo", "--noheader", "--Node", "--format=%N %T %c"}).out),
              ElementsAre("n1 idle 2", "n2 idle 2", "n3 idle 2", "n4 idle 2"));
}

TEST_F(slurm, srun_starts_mpi_over_all_nodes) {
  Outcome outcome;
  // Open MPI 4.1.4 itself now and then ends by a jump to nowhere while its ranks connect by TCP on a machine under
  // load: seen once in some hundred starts, and not what this is about.
  constexpr int segmentation_fault = 128 + 11;
  for (int attempt = 0; attempt < 3; ++attempt) {
    outcome = on_ctl({"srun", "--mpi=pmix", "--kill-on-bad-exit=1", "-N4", "-n8", ECHELON_MPI_SMOKE});
    if (outcome.exit_code != segmentation_fault) break;
  }
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.out, "8\n") << outcome;
  const Outcome hosts = on_ctl({"srun", "-N4", "-n8", "hostname"});
  EXPECT_THAT(lines(hosts.out), UnorderedElementsAre("n1", "n1", "n2", "n2", "n3", "n3", "n4", "n4")) << hosts;
}

TEST_F(slurm, nodes_share_files_but_no_memory_and_no_processes) {
  const std::string file = folder_.path() / "file";
  for (const char* node : nodes) {
    EXPECT_EQ(on(node, {"bash", "-c", "echo $HOSTNAME >>" + file + "; echo $HOSTNAME >/dev/shm/mine"}).exit_code, 0);
  }
  EXPECT_THAT(lines(contents("file")), ElementsAre("n1", "n2", "n3", "n4"));
  for (const char* node : nodes) {
    EXPECT_EQ(on(node, {"cat", "/dev/shm/mine"}).out, std::string{node} + "\n");
    EXPECT_EQ(on(node, {"rm", "/dev/shm/mine"}).exit_code, 0);
    EXPECT_THAT(on(node, {"bash", "-c", "cat /proc/[0-9]*/comm"}).out,
                testing::AllOf(testing::HasSubstr("slurmd\n"), testing::Not(testing::HasSubstr("slurmctld\n"))));
  }
  EXPECT_FALSE(std::filesystem::exists("/dev/shm/mine"));
}

TEST_F(slurm, batch_jobs_run_and_end) {
  const JobOutcome outcome = run_job(3, "hostname\nsrun -l hostname | sort\necho told >&2\nexit 3");
  EXPECT_EQ(outcome.state, "FAILED") << outcome;
  EXPECT_EQ(outcome.exit_code, 3) << outcome;
  EXPECT_EQ(outcome.out, "n1\n0: n1\n1: n1\n2: n2\n3: n2\n4: n3\n5: n3\n");
  EXPECT_EQ(outcome.err, "told\n");
  EXPECT_EQ(run_job(1, "exit 0").state, "COMPLETED");
}

TEST_F(slurm, mpirun_in_a_job_starts_mpi_over_its_nodes) {
  const JobOutcome outcome = run_job(4, "mpirun -n 8 " ECHELON_MPI_SMOKE);
  EXPECT_EQ(outcome.state, "COMPLETED") << outcome;
  EXPECT_EQ(outcome.out, "8\n") << outcome;
}

TEST_F(slurm, job_that_is_cancelled_is_gone) {
  const Outcome outcome = on_ctl({"bash", "-c",
                                  "id=$(sbatch --parsable -N4 --output=/dev/null --wrap 'srun sleep 1000')\n"
                                  "until [ $(squeue --noheader --steps | wc -l) = 2 ]; do sleep 0.1; done\n"
                                  "scancel $id"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;  // the rest is TearDown()'s
}

TEST_F(slurm, node_off_the_network_is_out_of_reach_until_it_is_back) {
  EXPECT_EQ(on_ctl({"bash", "-c", reach}).exit_code, 0);
  cut("n2");
  EXPECT_NE(on_ctl({"bash", "-c", reach}).exit_code, 0);
  heal("n2");
  EXPECT_EQ(on_ctl({"bash", "-c", reach}).exit_code, 0);
  EXPECT_EQ(on_ctl({"srun", "-w", "n2", "hostname"}).out, "n2\n");
}

TEST_F(slurm, job_whose_node_was_off_the_network_when_it_was_cancelled_is_gone) {
  const Outcome submitted = on_ctl({"bash", "-c",
                                    "sbatch -N4 --output=/dev/null --wrap 'srun sleep 1000'\n"
                                    "until [ $(squeue --noheader --steps | wc -l) = 2 ]; do sleep 0.1; done"});
  EXPECT_EQ(submitted.exit_code, 0) << submitted;
  cut("n2");
  EXPECT_EQ(on_ctl({"scancel", "--state=RUNNING"}).exit_code, 0);
  heal("n2");
  end_jobs_on("n2");
  EXPECT_TRUE(is_idle("n2"));
}

TEST_F(slurm, slurmd_that_was_killed_starts_again) {
  kill_slurmd("n2");
  EXPECT_NE(on_ctl({"bash", "-c", reach}).exit_code, 0);
  start_slurmd("n2");
  EXPECT_EQ(on_ctl({"srun", "-w", "n2", "hostname"}).out, "n2\n");
}

TEST_F(slurm, node_whose_power_failed_starts_again) {
  power_off("n2");
  EXPECT_NE(on_ctl({"bash", "-c", reach}).exit_code, 0);
  power_on("n2");
  EXPECT_EQ(on_ctl({"srun", "-w", "n2", "hostname"}).out, "n2\n");
}

}  // namespace
}  // namespace echelon::test
