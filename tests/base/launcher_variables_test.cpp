#include <gtest/gtest.h>

#include <echelon/base/launcher_variables.hpp>

namespace echelon::base {
namespace {

TEST(launcher_variables, those_of_launchers_are_known) {
  for (const char* name :
       {"OMPI_COMM_WORLD_RANK", "OMPI_MCA_btl", "PMIX_RANK", "PMI_RANK", "PMI2_RANK", "ORTE_X", "PRTE_X", "OPAL_PREFIX",
        "HYDRA_X", "MPIEXEC_TIMEOUT", "SLURM_PMI_KVS_NO_DUP_KEYS", "SLURM_PMIX_MAPPING_SERV", "OMP_WAIT_POLICY",
        "HFI_NO_BACKTRACE", "IPATH_NO_BACKTRACE", "MPI_LOCALNRANKS", "MPI_LOCALRANKID", "OMPI_"}) {
    EXPECT_TRUE(is_of_launchers(name)) << name;
  }
}

// What a command of map needs to know of its allocation, or its user has set, is not taken from it.
TEST(launcher_variables, those_of_users_and_of_slurm_are_not) {
  for (const char* name : {"", "PATH", "HOME", "OMP_NUM_THREADS", "OMP_WAIT_POLICY_2", "SLURM_JOB_ID", "SLURM_PROCID",
                           "SLURM_CPUS_PER_TASK", "MPI_ROOT", "MPI_LOCALRANK", "MPIEXEC", "ompi_comm_world_rank",
                           "MY_OMPI_X", "OMPI", "PMI", "PMIXX", "ECHELON_LAUNCHED"}) {
    EXPECT_FALSE(is_of_launchers(name)) << name;
  }
}

TEST(launcher_variables, the_separator_is_in_no_name) {
  EXPECT_FALSE(is_of_launchers("=OMPI_X"));
  EXPECT_EQ(user_variables_separator, '=');
}

}  // namespace
}  // namespace echelon::base
