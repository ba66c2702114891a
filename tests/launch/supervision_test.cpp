#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/run_program.hpp"
#include "support/temporary_folder.hpp"

// ECHELON_PROBE, a starter of its own ranks (probe.cpp), comes from the test's DEFINES.

namespace echelon::test {
namespace {

using Environment = std::map<std::string, std::optional<std::string>>;

class supervision : public testing::Test {
 protected:
  ~supervision() override {
    EXPECT_TRUE(descendants(getpid()).empty()) << "processes were left over";
    for (const Process& process : descendants(getpid())) kill(process.pid, SIGKILL);
  }

  static std::vector<std::string> command(int ranks, const std::vector<std::string>& mode) {
    std::vector<std::string> words{ECHELON_PROBE, std::to_string(ranks)};
    words.insert(words.end(), mode.begin(), mode.end());
    return words;
  }

  static RunOptions options(Environment environment = {}) {
    for (const char* name : {"OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "ECHELON_LAUNCHED"}) {
      environment.try_emplace(name, std::nullopt);
    }
    return {.environment = std::move(environment), .limit = std::chrono::seconds{40}};
  }

  static Outcome run(int ranks, const std::vector<std::string>& mode, Environment environment = {}) {
    return run_program(command(ranks, mode), options(std::move(environment)));
  }
};

TEST_F(supervision, status_is_what_rank_0_told) {
  for (const char* code : {"0", "1", "3", "75", "200"}) {
    const Outcome outcome = run(2, {"tell", code});
    EXPECT_EQ(outcome.exit_code, std::stoi(code)) << outcome;
    EXPECT_EQ(outcome.err, "");
  }
  EXPECT_EQ(run(1, {"tell", "3"}).exit_code, 3);
}

TEST_F(supervision, status_is_told_without_mpi_too) {
  const Outcome outcome = run(3, {"without-mpi", "2"});
  EXPECT_EQ(outcome.exit_code, 2) << outcome;
  EXPECT_EQ(outcome.err, "");
}

TEST_F(supervision, status_is_found_after_much_text) {
  const Outcome outcome = run(2, {"tell-late-in-text"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.exit_code.value_or(-1);
  EXPECT_EQ(outcome.err, std::string(100'000, 'x'));
}

TEST_F(supervision, run_goes_on_without_a_lost_rank) {
  for (const int lost : {1, 2}) {
    const Outcome outcome = run(3, {"lose", std::to_string(lost)});
    EXPECT_EQ(outcome.exit_code, 3) << outcome;
    EXPECT_EQ(outcome.out, "the answer\n");
    EXPECT_EQ(outcome.err, "rank " + std::to_string(3 - lost) + " answers\n");
  }
}

TEST_F(supervision, lost_rank_ends_a_run_that_does_not_outlive_it) {
  const Outcome outcome = run(3, {"lose", "1"}, {{"PROBE_FRAGILE", "1"}});
  EXPECT_EQ(outcome.exit_code, 4) << outcome;
  EXPECT_THAT(outcome.err, testing::MatchesRegex("echelon: rank 1 on [^ ]+ was killed by signal 9 \\(Killed\\).*\n"));
  EXPECT_TRUE(wait_until([] { return descendants(getpid()).empty(); }));  // mpirun's matter here
}

TEST_F(supervision, lost_master_ends_the_run_with_a_line) {
  const Outcome outcome = run(3, {"lose-master"});
  EXPECT_EQ(outcome.exit_code, 4) << outcome;
  EXPECT_EQ(outcome.err,
            "echelon: the master (rank 0) was killed by signal 9 (Killed); the run is lost, start it again\n");
}

TEST_F(supervision, master_that_tells_nothing_ends_the_run_with_a_line) {
  const Outcome outcome = run(2, {"tell-nothing"});
  EXPECT_EQ(outcome.exit_code, 4) << outcome;
  EXPECT_EQ(outcome.err,
            "echelon: the master (rank 0) ended without telling an outcome; the run is lost, start it again\n");
}

TEST_F(supervision, stopped_rank_does_not_keep_the_run) {
  const Outcome outcome = run(3, {"stop"});
  EXPECT_EQ(outcome.exit_code, 75) << outcome;
  EXPECT_EQ(outcome.err, "");
}

TEST_F(supervision, rank_that_stays_does_not_keep_the_run) {
  const Outcome outcome = run(3, {"stay"});
  EXPECT_EQ(outcome.exit_code, 3) << outcome;
  EXPECT_EQ(outcome.err, "");
}

TEST_F(supervision, mpirun_that_hangs_is_killed_with_its_ranks) {
  const Outcome outcome = run(2, {"hang-mpirun"});
  EXPECT_EQ(outcome.exit_code, 3) << outcome;
  EXPECT_EQ(outcome.err, "");
}

TEST_F(supervision, what_ranks_have_started_does_not_outlive_the_run) {
  const Outcome outcome = run(2, {"leave-child"});
  EXPECT_EQ(outcome.exit_code, 3) << outcome;
}

TEST_F(supervision, starters_own_child_is_left_alone) {
  const Outcome outcome = run(2, {"tell", "3"}, {{"PROBE_HAS_CHILD", "1"}});
  EXPECT_EQ(outcome.exit_code, 3) << outcome;
  const std::vector<Process> left = descendants(getpid());
  EXPECT_EQ(left.size(), 1U);
  for (const Process& process : left) kill(process.pid, SIGKILL);
  EXPECT_TRUE(wait_until([] { return descendants(getpid()).empty(); }));
}

TEST_F(supervision, starter_that_was_told_to_ignore_children_sees_their_end) {
  EXPECT_EQ(run(2, {"tell", "3"}, {{"PROBE_IGNORES_CHILDREN", "1"}}).exit_code, 3);
}

TEST_F(supervision, abort_of_a_rank_ends_the_others) {
  for (const char* rank : {"0", "1"}) {
    const Outcome outcome = run(3, {"abort", rank});
    EXPECT_EQ(outcome.exit_code, 4) << outcome;
    EXPECT_THAT(outcome.err,
                testing::MatchesRegex(std::string{"echelon: rank "} + rank +
                                      " on [^ ]+ called MPI_Abort with 3; the run is lost, start it again\n"));
  }
}

TEST_F(supervision, rank_that_never_comes_to_mpi_ends_the_run_with_a_line) {
  const Outcome outcome = run(3, {"early", "1"});
  EXPECT_EQ(outcome.exit_code, 4) << outcome;
  EXPECT_EQ(outcome.err,
            "echelon: rank 1 ended before MPI had started on all ranks; the run is lost, start it again\n");
}

TEST_F(supervision, program_that_cannot_be_run_is_a_line) {
  const Outcome outcome = run(2, {"tell", "0"}, {{"PROBE_PROGRAM", "/nonexistent/program"}});
  EXPECT_EQ(outcome.exit_code, 4) << outcome;
  EXPECT_THAT(outcome.err, testing::StrEq("echelon: cannot run /nonexistent/program: No such file or directory\n"));
}

TEST_F(supervision, outcome_wins_over_the_signal) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) {
    TemporaryFolder folder;
    RunningProgram starter{command(2, {"wind-up"}), options()};
    ASSERT_TRUE(starter.wait_for_error_text("ready\n"));
    EXPECT_EQ(kill(starter.pid(), signal), 0);
    const Outcome outcome = starter.wait();
    EXPECT_EQ(outcome.exit_code, 75) << outcome;
  }
}

TEST_F(supervision, signal_without_an_outcome_ends_the_starter_by_it) {
  RunningProgram starter{command(2, {"wait"}), options()};
  ASSERT_TRUE(starter.wait_for_error_text("ready\n"));
  EXPECT_EQ(kill(starter.pid(), SIGTERM), 0);
  const Outcome outcome = starter.wait();
  EXPECT_EQ(outcome.signal, SIGTERM) << outcome;
  EXPECT_EQ(outcome.err, "ready\n");
}

TEST_F(supervision, killed_mpirun_ends_the_run_with_a_line) {
  RunningProgram starter{command(2, {"wait"}), options()};
  ASSERT_TRUE(starter.wait_for_error_text("ready\n"));
  for (const Process& process : descendants(starter.pid())) {
    if (process.parent == starter.pid()) kill(process.pid, SIGKILL);
  }
  const Outcome outcome = starter.wait();
  EXPECT_EQ(outcome.exit_code, 4) << outcome;
  EXPECT_THAT(outcome.err, testing::HasSubstr("echelon: mpirun was killed by signal 9; the run is lost"));
}

TEST_F(supervision, killed_starter_takes_its_ranks_with_it) {
  RunningProgram starter{command(2, {"wait"}), options()};
  ASSERT_TRUE(starter.wait_for_error_text("ready\n"));
  EXPECT_EQ(kill(starter.pid(), SIGKILL), 0);
  EXPECT_EQ(starter.wait().signal, SIGKILL);
  EXPECT_TRUE(wait_until([] { return descendants(getpid()).empty(); }));
}

// The keys Ctrl-Z and what a shell's fg sends; the terminal itself reaches the starter alone.
TEST_F(supervision, stopped_starter_stops_its_ranks) {
  RunningProgram starter{command(2, {"wait"}), options()};
  ASSERT_TRUE(starter.wait_for_error_text("ready\n"));
  const auto ranks_in = [&](char state) {
    int count = 0;
    for (const Process& process : descendants(starter.pid())) {
      if (process.state == state && variable_of(process.pid, "OMPI_COMM_WORLD_RANK")) ++count;
    }
    return count;
  };
  EXPECT_EQ(kill(-starter.pid(), SIGTSTP), 0);
  EXPECT_TRUE(wait_until([&] { return ranks_in('T') == 2 && look_at(starter.pid())->state == 'T'; }));
  EXPECT_EQ(kill(-starter.pid(), SIGCONT), 0);
  EXPECT_TRUE(wait_until([&] { return ranks_in('T') == 0 && look_at(starter.pid())->state != 'T'; }));
  EXPECT_EQ(kill(starter.pid(), SIGTERM), 0);
  EXPECT_EQ(starter.wait().signal, SIGTERM);
}

TEST_F(supervision, input_is_rank_0s_where_asked_for) {
  TemporaryFolder folder;
  folder.write("input", "first line\n" + std::string(1'000'000, 'y'));
  RunOptions with_input = options({{"PROBE_READS_INPUT", "1"}});
  with_input.input_file = folder.path() / "input";
  EXPECT_EQ(run_program(command(2, {"input"}), with_input).out, "1000011 first line\nyyyyyyyyy");
  with_input.environment.erase("PROBE_READS_INPUT");
  EXPECT_EQ(run_program(command(2, {"input"}), with_input).out, "0 ");
}

/// mpirun as it is, one that says nothing, and one in another language: what Echelon says and does is the same.
class any_language : public supervision {
 protected:
  any_language() {
    folder_.write("silent/mpirun", "#!/bin/sh\nPATH=${PATH#*:}\nexec mpirun \"$@\" 2>/dev/null\n");
    std::filesystem::permissions(folder_.path() / "silent/mpirun", std::filesystem::perms::owner_all);
    // Open MPI takes its texts from files: lines that are neither comments nor titles are what it prints.
    for (const char* const share : {"/usr/share/openmpi", "/usr/share/prte", "/usr/share/pmix"}) {
      if (!std::filesystem::is_directory(share)) continue;
      for (const auto& file : std::filesystem::directory_iterator{share}) {
        if (file.path().extension() != ".txt") continue;
        std::ifstream in{file.path()};
        std::string text;
        for (std::string line; std::getline(in, line);) {
          text += line.empty() || line.front() == '#' || line.front() == '[' ? line : "Etwas ist geschehen.";
          text += '\n';
        }
        folder_.write("foreign/" + file.path().filename().string(), text);
      }
    }
  }

  std::vector<Environment> speakers() const {
    const std::string path = std::getenv("PATH");
    const std::string silent = folder_.path() / "silent";
    const std::string foreign = folder_.path() / "foreign";
    return {{},
            {{"PATH", silent + ":" + path}},
            {{"OPAL_PKGDATADIR", foreign}, {"PRTE_PKGDATADIR", foreign}, {"PMIX_PKGDATADIR", foreign}}};
  }

  TemporaryFolder folder_;
};

TEST_F(any_language, fault_has_the_same_line_and_status) {
  struct Fault {
    int ranks;
    std::vector<std::string> mode;
    Environment environment;
    std::string line;
  };
  for (const Fault& fault : std::vector<Fault>{
           {3, {"lose", "1"}, {{"PROBE_FRAGILE", "1"}}, "rank 1 on [^ ]+ was killed by signal 9 \\(Killed\\)"},
           {3, {"lose-master"}, {}, "the master \\(rank 0\\) was killed by signal 9 \\(Killed\\)"},
           {2, {"tell-nothing"}, {}, "the master \\(rank 0\\) ended without telling an outcome"},
           {3, {"early", "1"}, {}, "rank 1 ended before MPI had started on all ranks"},
           {3, {"abort", "0"}, {}, "rank 0 on [^ ]+ called MPI_Abort with 3"},
           {3, {"abort", "2"}, {{"PROBE_FRAGILE", "1"}}, "rank 2 on [^ ]+ called MPI_Abort with 3"}}) {
    for (Environment environment : speakers()) {
      environment.insert(fault.environment.begin(), fault.environment.end());
      const Outcome outcome = run(fault.ranks, fault.mode, environment);
      EXPECT_EQ(outcome.exit_code, 4) << outcome;
      const std::string last = outcome.err.substr(std::min(outcome.err.size(), outcome.err.find("echelon: ")));
      EXPECT_THAT(last, testing::MatchesRegex("echelon: " + fault.line + "; the run is lost, start it again\n"))
          << outcome;
    }
  }
}

TEST_F(any_language, outcome_is_the_masters) {
  for (const Environment& environment : speakers()) {
    EXPECT_EQ(run(2, {"tell", "3"}, environment).exit_code, 3);
    const Outcome outcome = run(3, {"lose", "2"}, environment);
    EXPECT_EQ(outcome.exit_code, 3) << outcome;
    EXPECT_EQ(outcome.out, "the answer\n");
  }
}

/// Nodes that are this machine by another name: what mpirun uses as ssh runs the command here, without the environment
/// of the one who calls, as ssh does.
class supervision_of_nodes : public supervision {
 protected:
  supervision_of_nodes() {
    folder_.write("agent",
                  "#!/bin/sh\n"
                  "shift\n"
                  "exec env -i PATH=\"$PATH\" HOME=\"$HOME\" OMPI_ALLOW_RUN_AS_ROOT=1 "
                  "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 sh -c \"$*\" 2>/dev/null\n");
    std::filesystem::permissions(folder_.path() / "agent", std::filesystem::perms::owner_all);
  }

  Outcome run_on(const std::string& hosts, int ranks, const std::vector<std::string>& mode) {
    folder_.write("hosts", hosts);
    return run(ranks, mode,
               {{"OMPI_MCA_plm", "rsh"},
                {"OMPI_MCA_plm_rsh_agent", folder_.path() / "agent"},
                {"OMPI_MCA_orte_default_hostfile", folder_.path() / "hosts"},
                {"OMPI_MCA_hwloc_base_binding_policy", "none"}});
  }

  TemporaryFolder folder_;
};

TEST_F(supervision_of_nodes, outcome_comes_from_another_node) {
  const Outcome outcome = run_on("node.invalid slots=2\n", 2, {"tell", "3"});
  EXPECT_EQ(outcome.exit_code, 3) << outcome;
  EXPECT_EQ(outcome.err, "");
}

TEST_F(supervision_of_nodes, lost_master_on_another_node_ends_the_run_with_a_line) {
  const Outcome outcome = run_on("node.invalid slots=2\n", 2, {"lose-master"});
  EXPECT_EQ(outcome.exit_code, 4) << outcome;
  EXPECT_EQ(outcome.err,
            "echelon: the master (rank 0) was killed by signal 9 (Killed); the run is lost, start it again\n");
}

TEST_F(supervision_of_nodes, run_goes_on_without_a_lost_node) {
  const Outcome outcome = run_on("localhost slots=1\nnode.invalid slots=1\n", 2, {"lose-node"});
  EXPECT_EQ(outcome.exit_code, 3) << outcome;
  EXPECT_EQ(outcome.out, "the answer\n");
  EXPECT_EQ(outcome.err, "");
}

}  // namespace
}  // namespace echelon::test
