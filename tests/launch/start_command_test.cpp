#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/base/error.hpp>
#include <echelon/launch/start_command.hpp>

namespace echelon::launch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr Launcher::Kind automatic = Launcher::Kind::automatic, mpirun = Launcher::Kind::mpirun,
                         srun = Launcher::Kind::srun;

/// The command line as one would type it.
std::string command(const LaunchPlan& plan, const char* launcher = "mpirun") {
  std::string line;
  for (const std::string& word : start_command(parse_launcher(launcher), plan, {"prog", "--points", "1e9"})) {
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

TEST(mpirun_command, open_mpi_5_has_other_words) {
  EXPECT_EQ(command({.ranks = 4, .outlives_ranks = true, .usable_cpus = 2, .usable_cores = 2, .open_mpi_major = 5}),
            "mpirun -n 4 --host localhost:4 --prtemca plm ssh --mca pml ob1 --mca btl self,sm --enable-recovery "
            "--bind-to none --mca mpi_yield_when_idle 1 prog --points 1e9");
  EXPECT_EQ(
      command({.ranks = 4, .usable_cpus = 4, .usable_cores = 2, .open_mpi_major = 5}),
      "mpirun -n 4 --host localhost:4 --prtemca plm ssh --mca pml ob1 --mca btl self,sm --map-by slot:PE=1:HWTCPUS "
      "--bind-to hwthread prog --points 1e9");
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
            "mpirun -n 64 -x ECHELON_LAUNCHED -x ECHELON_WATCH -x OMP_WAIT_POLICY --map-by slot:PE=8 --bind-to core "
            "prog --points 1e9");
}

TEST(mpirun_command, other_programs_variables_go_to_other_nodes) {
  EXPECT_EQ(command({.ranks = 4, .in_allocation = true, .variables = {"OMP_NUM_THREADS"}}),
            "mpirun -n 4 -x OMP_NUM_THREADS --map-by slot:PE=1 --bind-to core prog --points 1e9");
}

TEST(mpirun_command, job_that_outlives_ranks_is_watched) {
  EXPECT_EQ(command({.ranks = 2, .outlives_ranks = true, .usable_cpus = 4, .usable_cores = 4}),
            "mpirun -n 2 --host localhost:2 --mca plm isolated --mca pml ob1 --mca btl self,vader --enable-recovery "
            "--map-by slot:PE=1 --bind-to core prog --points 1e9");
  EXPECT_EQ(command({.ranks = 64, .outlives_ranks = true, .in_allocation = true}),
            "mpirun -n 64 -x ECHELON_LAUNCHED -x ECHELON_WATCH -x OMP_WAIT_POLICY --enable-recovery --map-by "
            "slot:PE=1 --bind-to core prog --points 1e9");
}

TEST(mpirun_command, job_that_stops_by_itself_is_told_where_its_starter_is) {
  EXPECT_EQ(command({.ranks = 64, .stops_by_itself = true, .in_allocation = true}),
            "mpirun -n 64 -x ECHELON_LAUNCHED -x ECHELON_WATCH -x OMP_WAIT_POLICY -x ECHELON_STARTER -x "
            "ECHELON_USER_VARIABLES --map-by "
            "slot:PE=1 --bind-to core prog --points 1e9");
}

TEST(mpirun_command, ranks_that_are_not_to_be_bound_are_not_on_one_machine) {
  EXPECT_EQ(command({.ranks = 2, .bind = false, .usable_cpus = 4, .usable_cores = 4}),
            "mpirun -n 2 --host localhost:2 --mca plm isolated --mca pml ob1 --mca btl self,vader --bind-to none prog "
            "--points 1e9");
  EXPECT_EQ(command({.ranks = 64, .bind = false, .in_allocation = true}),
            command({.ranks = 64, .bind = true, .in_allocation = true}));
}

TEST(mpirun_command, arguments_are_kept_apart) {
  const std::vector<std::string> words = start_command({mpirun}, {}, {"a program", "", "b c"});
  EXPECT_EQ((std::vector<std::string>{words.end() - 3, words.end()}),
            (std::vector<std::string>{"a program", "", "b c"}));
}

/// Four nodes of two CPUs, as sbatch -N4 -n8 gives them.
LaunchPlan in_slurm(std::uint64_t ranks, std::uint64_t threads = 1) {
  return {.ranks = ranks,
          .threads = threads,
          .in_allocation = true,
          .slurm = measure::Allocation{.node_cpus = {2, 2, 2, 2}, .node_tasks = {2, 2, 2, 2}, .tasks = 8}};
}

TEST(mpirun_command, more_ranks_than_a_slurm_job_has_room_for_take_turns) {
  const std::string begin = "mpirun -n 32 -x ECHELON_LAUNCHED -x ECHELON_WATCH -x OMP_WAIT_POLICY --oversubscribe ";
  EXPECT_EQ(command(in_slurm(32)), begin + "--bind-to none --mca mpi_yield_when_idle 1 prog --points 1e9");
  LaunchPlan more_cpus = in_slurm(32);
  more_cpus.slurm->node_cpus = {8, 8, 8, 8};
  EXPECT_EQ(command(more_cpus), begin + "--map-by slot:PE=1 --bind-to core prog --points 1e9");
  EXPECT_THAT(command(in_slurm(8)), testing::Not(HasSubstr("--oversubscribe")));
}

TEST(mpirun_command, more_ranks_than_a_step_has_tasks_are_not_bound) {
  LaunchPlan plan = in_slurm(4);
  plan.slurm->node_tasks = {1};
  EXPECT_THAT(command(plan), HasSubstr(" --oversubscribe --map-by slot:PE=1 --bind-to core "));
  plan.in_step = true;
  EXPECT_THAT(command(plan), HasSubstr(" --oversubscribe --bind-to none prog"));
  plan.slurm->node_tasks = {2, 2, 2, 2};
  EXPECT_THAT(command(plan), HasSubstr(" --bind-to core ")) << "salloc's own step knows the tasks of the job";
}

TEST(srun_command, packs_ranks_on_the_fewest_nodes_and_binds_them) {
  const auto expected = [](int ranks, int threads, int nodes) {
    return "srun --mpi=pmix --ntasks=" + std::to_string(ranks) + " --cpus-per-task=" + std::to_string(threads) +
           " --export=ALL --kill-on-bad-exit=1 --quit-on-interrupt --nodes=" + std::to_string(nodes) +
           " --distribution=block,Pack --cpu-bind=cores prog --points 1e9";
  };
  EXPECT_EQ(command(in_slurm(1), "srun"), expected(1, 1, 1));
  EXPECT_EQ(command(in_slurm(2), "srun"), expected(2, 1, 1));
  EXPECT_EQ(command(in_slurm(3), "srun"), expected(3, 1, 2));
  EXPECT_EQ(command(in_slurm(8), "srun"), expected(8, 1, 4));
  EXPECT_EQ(command(in_slurm(3, 2), "srun"), expected(3, 2, 3));
  LaunchPlan uneven = in_slurm(5);
  uneven.slurm->node_cpus = {1, 16, 16};
  EXPECT_EQ(command(uneven, "srun"), expected(5, 1, 2));
}

TEST(srun_command, more_threads_than_cpus_share_them) {
  EXPECT_EQ(command(in_slurm(32), "srun"),
            "srun --mpi=pmix --ntasks=32 --cpus-per-task=1 --export=ALL --kill-on-bad-exit=1 --quit-on-interrupt "
            "--overcommit --cpu-bind=none prog --points 1e9");
}

TEST(srun_command, within_a_step_takes_its_cpus) {
  LaunchPlan plan = in_slurm(2);
  plan.in_step = true;
  EXPECT_THAT(command(plan, "srun"), HasSubstr(" --overlap "));
  plan.in_step = false;
  EXPECT_THAT(command(plan, "srun"), testing::Not(HasSubstr("--overlap")));
}

TEST(srun_command, outside_a_job_srun_finds_nodes_itself) {
  EXPECT_THAT(command({.ranks = 8}, "srun"), testing::Not(HasSubstr("--nodes")));
}

TEST(custom_command, template_says_where_everything_goes) {
  EXPECT_EQ(command({.ranks = 4, .threads = 2}, "mpiexec -np {ranks} -d{threads} {command} end"),
            "mpiexec -np 4 -d2 prog --points 1e9 end");
  EXPECT_EQ(command({.ranks = 4}, "sh ${home} {} {a,b} {ranks} {command}"), "sh ${home} {} {a,b} 4 prog --points 1e9");
  EXPECT_THAT(start_command(parse_launcher("a 'b  {ranks}' \"c d\" e\"\"f {command}"), {.ranks = 3}, {"x y"}),
              ElementsAre("a", "b  3", "c d", "ef", "x y"));
}

TEST(parse_launcher, says_what_is_wrong) {
  const auto expect = [](const char* text, const char* message) {
    EXPECT_THAT([&] { (void)parse_launcher(text); }, ThrowsMessage<base::UsageError>(testing::AllOf(
                                                         testing::StartsWith("--launcher: "), HasSubstr(message))))
        << text;
  };
  expect("", "'' is not known; give auto, mpirun, srun, or a template");
  expect("slurm", "'slurm' is not known");
  expect("mpiexec {command}", "no {ranks}");
  expect("env FOO=1 mpirun -n {ranks}", "has no {command}");
  expect("mpiexec -n {ranks} -h {hosts} {command}", "{hosts} is not known; a template has {ranks}, {threads}");
  expect("mpiexec -n {ranks} x{command}", "a word of its own");
  expect("mpiexec -n {ranks} '{command}", "a quote has no end");
}

TEST(chosen, is_srun_in_a_slurm_job_where_it_serves_and_ranks_need_not_be_outlived) {
  EXPECT_EQ(chosen(automatic, {}, true), mpirun) << "no job";
  EXPECT_EQ(chosen(automatic, in_slurm(2), true), srun);
  EXPECT_EQ(chosen(automatic, in_slurm(2), false), mpirun);
  LaunchPlan outliving = in_slurm(2);
  outliving.outlives_ranks = true;
  EXPECT_EQ(chosen(automatic, outliving, true), mpirun);
  EXPECT_EQ(chosen(srun, {}, false), srun) << "who asks gets it";
  EXPECT_EQ(chosen(mpirun, in_slurm(2), true), mpirun);
}

TEST(way_out_of_step, is_said_to_the_only_task_of_one) {
  const auto of = [](std::optional<std::string> tasks) {
    return way_out_of_step(
        [&](const char* name) { return name == std::string_view{"SLURM_STEP_NUM_TASKS"} ? tasks : std::nullopt; });
  };
  EXPECT_THAT(of("1"), HasSubstr("open it with salloc, or with srun --mpi=none"));
  EXPECT_EQ(of("2"), "");
  EXPECT_EQ(of(std::nullopt), "") << "mpirun";
}

TEST(says_srun_serves, where_it_has_pmix_and_binds) {
  const std::string plugins = "MPI plugin types are...\n\tpmi2\n\tnone\n";
  const std::string pmix = plugins + "\tpmix\nspecific pmix plugin versions available: pmix_v4\n";
  EXPECT_TRUE(says_srun_serves(pmix + "TaskEpilog = (null)\nTaskPlugin              = task/affinity,task/cgroup\n"));
  EXPECT_TRUE(says_srun_serves(pmix + "TaskPlugin              = cgroup\nTaskPluginParam = (null type)"));
  EXPECT_FALSE(says_srun_serves(pmix + "TaskPlugin              = task/none\nTaskPluginParam = affinity\n"));
  EXPECT_FALSE(says_srun_serves(plugins + "TaskPlugin              = task/affinity\n"));
  EXPECT_FALSE(says_srun_serves(pmix + "slurm_load_ctl_conf error: Unable to contact slurm controller\n"));
}

}  // namespace
}  // namespace echelon::launch
