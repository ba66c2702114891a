#include <array>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/comm/session.hpp>

namespace echelon::comm {
namespace {

class placement_test : public testing::Test {
 protected:
  placement_test() {
    for (const char* name : {"OMPI_COMM_WORLD_RANK", "SLURM_PROCID", "PMIX_RANK"}) unsetenv(name);
  }

  static void set(const char* name, const char* value) { setenv(name, value, 1); }
};

TEST_F(placement_test, nothing_set_is_not_launched) {
  const Placement place = placement();
  EXPECT_FALSE(place.launched);
  EXPECT_EQ(place.rank, 0);
  EXPECT_EQ(place.launcher, "none");
}

TEST_F(placement_test, open_mpi_gives_the_rank) {
  set("OMPI_COMM_WORLD_RANK", "12");
  set("PMIX_RANK", "12");
  const Placement place = placement();
  EXPECT_TRUE(place.launched);
  EXPECT_EQ(place.rank, 12);
  EXPECT_EQ(place.launcher, "mpirun");
}

TEST_F(placement_test, srun_with_pmix_gives_the_rank) {
  set("SLURM_PROCID", "3");
  set("PMIX_RANK", "3");
  const Placement place = placement();
  EXPECT_TRUE(place.launched);
  EXPECT_EQ(place.rank, 3);
  EXPECT_EQ(place.launcher, "srun");
}

TEST_F(placement_test, batch_script_of_slurm_is_not_launched) {
  set("SLURM_PROCID", "0");
  const Placement place = placement();
  EXPECT_FALSE(place.launched);
  EXPECT_EQ(place.launcher, "none");
}

// mpirun inside an allocation: the batch script's SLURM_PROCID is 0 on every rank.
TEST_F(placement_test, mpirun_inside_slurm_wins_over_the_batch_script) {
  set("SLURM_PROCID", "0");
  set("OMPI_COMM_WORLD_RANK", "5");
  set("PMIX_RANK", "5");
  const Placement place = placement();
  EXPECT_EQ(place.rank, 5);
  EXPECT_EQ(place.launcher, "mpirun");
}

}  // namespace
}  // namespace echelon::comm
