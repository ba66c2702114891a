#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/launch/launcher.hpp>

namespace echelon::launch {
namespace {

/// The command line as one would type it.
std::string command(const LaunchPlan& plan) {
  std::string line;
  for (const std::string& word : mpirun_command(plan, {"prog", "--points", "1e9"})) {
    line += (line.empty() ? "" : " ") + word;
  }
  return line;
}

TEST(mpirun_command, enough_cores_bind_ranks_to_cores) {
  EXPECT_EQ(command({.ranks = 4, .threads = 2, .usable_cpus = 16, .usable_cores = 8}),
            "mpirun -n 4 --host localhost:4 --mca plm isolated --mca pml ob1 --mca btl self,vader --map-by slot:PE=2 "
            "--bind-to core "
            "prog --points 1e9");
}

TEST(mpirun_command, more_threads_than_cores_bind_to_hardware_threads) {
  EXPECT_EQ(command({.ranks = 9, .threads = 1, .usable_cpus = 16, .usable_cores = 8}),
            "mpirun -n 9 --host localhost:9 --mca plm isolated --mca pml ob1 --mca btl self,vader --use-hwthread-cpus "
            "--map-by "
            "slot:PE=1 --bind-to hwthread prog --points 1e9");
  EXPECT_EQ(command({.ranks = 16, .threads = 1, .usable_cpus = 16, .usable_cores = 8}),
            "mpirun -n 16 --host localhost:16 --mca plm isolated --mca pml ob1 --mca btl self,vader "
            "--use-hwthread-cpus --map-by "
            "slot:PE=1 --bind-to hwthread prog --points 1e9");
}

TEST(mpirun_command, more_threads_than_cpus_yield_and_are_not_bound) {
  EXPECT_EQ(
      command({.ranks = 17, .threads = 1, .usable_cpus = 16, .usable_cores = 8}),
      "mpirun -n 17 --host localhost:17 --mca plm isolated --mca pml ob1 --mca btl self,vader --bind-to none --mca "
      "mpi_yield_when_idle 1 prog --points 1e9");
  EXPECT_EQ(command({.ranks = 2, .threads = 2, .usable_cpus = 2, .usable_cores = 2}),
            "mpirun -n 2 --host localhost:2 --mca plm isolated --mca pml ob1 --mca btl self,vader --bind-to none --mca "
            "mpi_yield_when_idle 1 prog --points 1e9");
}

TEST(mpirun_command, confined_ranks_inherit_their_cpus) {
  EXPECT_EQ(command({.ranks = 2, .threads = 1, .usable_cpus = 4, .usable_cores = 4, .all_cpus_of_machine = false}),
            "mpirun -n 2 --host localhost:2 --mca plm isolated --mca pml ob1 --mca btl self,vader --bind-to none prog "
            "--points 1e9");
  EXPECT_EQ(command({.ranks = 8, .threads = 1, .usable_cpus = 4, .usable_cores = 4, .all_cpus_of_machine = false}),
            "mpirun -n 8 --host localhost:8 --mca plm isolated --mca pml ob1 --mca btl self,vader --bind-to none --mca "
            "mpi_yield_when_idle 1 prog --points 1e9");
}

TEST(mpirun_command, users_transport_is_left_alone) {
  EXPECT_EQ(command({.ranks = 2, .usable_cpus = 4, .usable_cores = 4, .user_chose_transport = true}),
            "mpirun -n 2 --host localhost:2 --mca plm isolated --map-by slot:PE=1 --bind-to core prog --points 1e9");
}

// The ranks are elsewhere: what this machine has says nothing about them.
TEST(mpirun_command, in_an_allocation_the_scheduler_places_ranks) {
  EXPECT_EQ(command({.ranks = 64,
                     .threads = 8,
                     .usable_cpus = 2,
                     .usable_cores = 1,
                     .all_cpus_of_machine = false,
                     .in_allocation = true}),
            "mpirun -n 64 -x ECHELON_LAUNCHED -x OMP_WAIT_POLICY --map-by slot:PE=8 --bind-to core prog --points 1e9");
}

TEST(mpirun_command, other_programs_variables_go_to_other_nodes) {
  EXPECT_EQ(command({.ranks = 4, .in_allocation = true, .variables = {"OMP_NUM_THREADS"}}),
            "mpirun -n 4 -x OMP_NUM_THREADS --map-by slot:PE=1 --bind-to core prog --points 1e9");
}

TEST(mpirun_command, job_that_outlives_ranks_is_watched) {
  EXPECT_EQ(command({.ranks = 2, .outlives_ranks = true, .usable_cpus = 4, .usable_cores = 4}),
            "mpirun -n 2 --host localhost:2 --mca plm isolated --mca pml ob1 --mca btl self,vader --enable-recovery "
            "--mca state_base_verbose 1 --map-by slot:PE=1 --bind-to core prog --points 1e9");
  EXPECT_EQ(command({.ranks = 64, .outlives_ranks = true, .in_allocation = true}),
            "mpirun -n 64 -x ECHELON_LAUNCHED -x OMP_WAIT_POLICY --enable-recovery --mca state_base_verbose 1 --map-by "
            "slot:PE=1 --bind-to core prog --points 1e9");
}

TEST(mpirun_command, job_that_stops_by_itself_is_told_where_its_starter_is) {
  EXPECT_EQ(command({.ranks = 64, .stops_by_itself = true, .in_allocation = true}),
            "mpirun -n 64 -x ECHELON_LAUNCHED -x OMP_WAIT_POLICY -x ECHELON_STARTER -x ECHELON_USER_VARIABLES --map-by "
            "slot:PE=1 --bind-to core prog --points 1e9");
}

TEST(mpirun_command, ranks_that_are_not_to_be_bound_are_not_on_one_machine) {
  EXPECT_EQ(command({.ranks = 2, .bind = false, .usable_cpus = 4, .usable_cores = 4}),
            "mpirun -n 2 --host localhost:2 --mca plm isolated --mca pml ob1 --mca btl self,vader --bind-to none prog "
            "--points 1e9");
  EXPECT_EQ(command({.ranks = 64, .bind = false, .in_allocation = true}),
            command({.ranks = 64, .bind = true, .in_allocation = true}));
}

TEST(this_executable, is_this_test) {
  EXPECT_EQ(std::filesystem::path{this_executable()}.filename(), "launch_launcher_test");
}

TEST(mpirun_command, arguments_are_kept_apart) {
  const std::vector<std::string> words = mpirun_command({}, {"a program", "", "b c"});
  EXPECT_EQ((std::vector<std::string>{words.end() - 3, words.end()}),
            (std::vector<std::string>{"a program", "", "b c"}));
}

}  // namespace
}  // namespace echelon::launch
