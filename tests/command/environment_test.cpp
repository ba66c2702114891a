#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/command/environment.hpp>

namespace echelon::command {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> kept(const std::vector<const char*>& entries) {
  std::vector<const char*> block = entries;
  block.push_back(nullptr);
  return command_environment(block.data());
}

TEST(command_environment, users_own_stays_in_its_order) {
  EXPECT_THAT(kept({"PATH=/bin", "EMPTY=", "A=b=c", "PATH_PMI_=x", "OMP_NUM_THREADS=4", "SLURM_JOB_ID=7"}),
              ElementsAre("PATH=/bin", "EMPTY=", "A=b=c", "PATH_PMI_=x", "OMP_NUM_THREADS=4", "SLURM_JOB_ID=7"));
  EXPECT_THAT(kept({}), IsEmpty());
}

TEST(command_environment, what_launchers_set_goes) {
  EXPECT_THAT(
      kept({"OMPI_COMM_WORLD_RANK=0", "OMPI_MCA_ess=^singleton", "OMPI_MCA_ess_base_jobid=1", "OMPI_MCA_orte_hnp_uri=x",
            "OMPI_MCA_pmix=^s1", "OMPI_MCA_shmem_RUNTIME_QUERY_hint=mmap", "OMPI_MCA_rmaps_base_mapping_policy=slot",
            "OMPI_MCA_hwloc_base_binding_policy=none", "PMIX_RANK=0", "PMI_FD=3", "PMI2_X=1", "SLURM_PMIX_MAPPING=1",
            "SLURM_PMI2_FD=3", "PRTE_X=1", "HFI_NO_BACKTRACE=1", "IPATH_NO_BACKTRACE=1", "MPI_LOCALRANKID=0"}),
      IsEmpty());
}

TEST(command_environment, own_variables_go) {
  EXPECT_THAT(kept({"ECHELON_LAUNCHED=0", "ECHELON_STARTER=/x", "ECHELON_WATCH=1,x", "ECHELON_TERMINAL=1",
                    "ECHELON_USER_VARIABLES=", "ECHELON_RANKS_A_NODE=1", "ECHELON_HOME=/home"}),
              ElementsAre("ECHELON_RANKS_A_NODE=1", "ECHELON_HOME=/home"));
}

TEST(command_environment, announced_variables_stay_and_no_others) {
  EXPECT_THAT(kept({"OMPI_MCA_btl=tcp", "OMPI_MCA_pml=ob1", "OMP_WAIT_POLICY=passive", "PMIX_RANK=0",
                    "ECHELON_USER_VARIABLES=OMPI_MCA_btl=PMIX_MCA_x", "PMIX_MCA_x=1"}),
              ElementsAre("OMPI_MCA_btl=tcp", "PMIX_MCA_x=1"));
  EXPECT_THAT(kept({"ECHELON_USER_VARIABLES=", "OMPI_MCA_btl=tcp", "OMP_WAIT_POLICY=passive"}), IsEmpty());
  EXPECT_THAT(kept({"ECHELON_USER_VARIABLES=OMP_WAIT_POLICY", "OMP_WAIT_POLICY=active"}),
              ElementsAre("OMP_WAIT_POLICY=active"));
}

TEST(command_environment, without_announcement_what_no_launcher_sets_stays) {
  EXPECT_THAT(kept({"OMPI_MCA_btl=tcp", "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
                    "OMPI_MCA_orte_default_hostfile=/hosts", "OPAL_PREFIX=/opt", "OMP_WAIT_POLICY=active"}),
              testing::SizeIs(6));
}

TEST(threads_a_command, cpus_are_shared) {
  EXPECT_EQ(threads_a_command(8, 2), 4U);
  EXPECT_EQ(threads_a_command(8, 3), 2U);
  EXPECT_EQ(threads_a_command(2, 4), 1U);
  EXPECT_EQ(threads_a_command(0, 4), 1U);
  EXPECT_EQ(threads_a_command(3, 0), 3U);
}

}  // namespace
}  // namespace echelon::command
