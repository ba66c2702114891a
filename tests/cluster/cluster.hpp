#pragma once

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

// ECHELON_CLUSTER_SCRIPTS comes from the test's DEFINES.

namespace echelon::test {

struct JobOptions {
  int ranks_a_node = 2;
  std::string name = "job";  ///< of its script; what it writes is in name.out and name.err
};

/// How a batch job ended, and what it wrote.
struct JobOutcome {
  std::string state;  ///< "COMPLETED"; "COMPLETING" where one of its nodes is gone
  int exit_code = -1;
  std::string out;
  std::string err;
};

inline std::ostream& operator<<(std::ostream& stream, const JobOutcome& outcome) {
  return stream << outcome.state << ", exit code " << outcome.exit_code << "\nout: " << outcome.out
                << "\nerr: " << outcome.err;
}

/// What a test does with the cluster of tests/cluster/up.sh, which ctest brings up. Nothing of a test is left on it.
class cluster : public testing::Test {
 protected:
  static constexpr std::array nodes{"n1", "n2", "n3", "n4"};

  void SetUp() override {
    const char* set = std::getenv("ECHELON_CLUSTER");
    if (!std::filesystem::exists(std::filesystem::path{set != nullptr ? set : "/run/echelon-cluster"} / "up")) {
      GTEST_SKIP() << "no cluster is up: " << script("up.sh") << " brings one up, or says why it cannot";
    }
    is_up_ = true;
  }

  void TearDown() override {
    if (!is_up_) return;
    expect_nothing_left();
    EXPECT_TRUE(wait_until([] { return on_ctl({"squeue", "--noheader"}).out.empty(); })) << "jobs are left";
    for (const char* node : nodes) {
      std::string left;
      EXPECT_TRUE(wait_until([&] { return (left = left_on(node)).empty(); })) << "left on " << node << ":\n" << left;
    }
  }

  static std::string script(const std::string& name) { return ECHELON_CLUSTER_SCRIPTS "/" + name; }

  /// A command on a node, or on ctl, from where jobs are submitted.
  static Outcome on(const std::string& node, const Arguments& command, RunOptions options = {}) {
    return run_program(Arguments{script("on.sh"), node} + command, alone(std::move(options)));
  }
  static Outcome on_ctl(const Arguments& command, RunOptions options = {}) {
    return on("ctl", command, std::move(options));
  }

  /// A batch job of `count` nodes, whose number is returned; `body` is a shell's.
  std::string submit(int count, const std::string& body, const JobOptions& options = {}) const {
    const std::string& name = options.name;
    folder_.write(name, "#!/bin/bash\n" + body);
    const Outcome submitted = on_ctl({"sbatch", "--parsable", "--nodes=" + std::to_string(count),
                                      "--ntasks-per-node=" + std::to_string(options.ranks_a_node), "--job-name=" + name,
                                      "--output=" + name + ".out", "--error=" + name + ".err", name},
                                     {.folder = folder_.path()});
    EXPECT_EQ(submitted.exit_code, 0) << submitted;
    return lines(submitted.out + "\n").front();
  }

  static std::string show_job(const std::string& job) {
    return on_ctl({"scontrol", "--oneliner", "show", "job", job}).out;
  }
  static std::string state_of_job(const std::string& job) { return word_after(" JobState=", show_job(job)); }

  /// When the job has ended.
  JobOutcome outcome_of(const std::string& job, std::chrono::seconds limit = std::chrono::seconds{60}) const {
    JobOutcome outcome;
    std::string name;
    const auto has_left = [&](const std::set<std::string>& states) {
      const std::string shown = show_job(job);
      outcome.state = word_after(" JobState=", shown);
      const std::string code = word_after(" ExitCode=", shown);  // "0:0": and the signal
      outcome.exit_code = code.empty() ? -1 : std::stoi(code);
      name = word_after(" JobName=", shown);
      return !outcome.state.empty() && !states.contains(outcome.state);
    };
    const auto has_ended = [&] { return has_left({"PENDING", "RUNNING"}); };
    const bool ended = wait_until(has_ended, limit);
    EXPECT_TRUE(ended) << "job " << job << " goes on, which is cancelled";
    if (!ended) (void)on_ctl({"scancel", job});
    // Where one of its nodes is gone it stays so.
    (void)wait_until([&] { return has_left({"COMPLETING"}); }, std::chrono::seconds{30});
    outcome.out = contents(name + ".out");
    outcome.err = contents(name + ".err");
    return outcome;
  }

  JobOutcome run_job(int count, const std::string& body) const { return outcome_of(submit(count, body)); }

  [[nodiscard]] std::string contents(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream{folder_.path() / name}.rdbuf();
    return text.str();
  }

  static std::string word_after(const std::string& name, const std::string& text) {
    const std::size_t at = text.find(name);
    if (at == std::string::npos) return "";
    const std::size_t begin = at + name.size();
    return text.substr(begin, text.find_first_of(" \n", begin) - begin);
  }

  static void cut(const std::string& node) { EXPECT_EQ(on_ctl({"ip", "link", "set", node, "down"}).exit_code, 0); }
  static void heal(const std::string& node) { EXPECT_EQ(on_ctl({"ip", "link", "set", node, "up"}).exit_code, 0); }
  /// For a node that was out of reach: whether a job that ended meanwhile has ended there too SLURM would ask again
  /// only after a minute or more.
  static void end_jobs_on(const std::string& node) {
    set_state(node, "DOWN");
    // Its slurmd may have said meanwhile that it is there, and then this is refused.
    (void)on_ctl({"scontrol", "update", "NodeName=" + node, "State=RESUME"});
    EXPECT_TRUE(wait_until([&] { return !state_of(node).starts_with("down"); })) << node;
  }
  /// As if its power had failed: everything on it is gone at once.
  static void power_off(const std::string& node) {
    EXPECT_EQ(on_ctl({"bash", "-c", "kill -KILL $(</run/nodes/" + node + ")"}).exit_code, 0);
  }
  static void power_on(const std::string& node) {
    EXPECT_EQ(on_ctl({script("node.sh"), node}).exit_code, 0);
    EXPECT_TRUE(is_idle(node));
  }
  static void kill_slurmd(const std::string& node) {
    EXPECT_EQ(on(node, {"bash", "-c", "kill -KILL $(</run/slurm/slurmd.pid)"}).exit_code, 0);
  }
  static void start_slurmd(const std::string& node) {
    set_state(node, "DOWN");  // which ends its jobs, and ends itself when the slurmd comes
    EXPECT_EQ(on(node, {"slurmd", "-N", node}).exit_code, 0);
    EXPECT_TRUE(is_idle(node));
  }
  static bool is_idle(const std::string& node) {
    return wait_until([&] { return state_of(node) == "idle\n"; });
  }

  TemporaryFolder folder_;

 private:
  static std::string state_of(const std::string& node) {
    return on_ctl({"sinfo", "--noheader", "--nodes=" + node, "--format=%T"}).out;
  }
  static void set_state(const std::string& node, const std::string& state) {
    const Outcome outcome = on_ctl({"scontrol", "update", "NodeName=" + node, "State=" + state, "Reason=test"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome;
  }

  /// Processes, files of Open MPI's and shared memory on a node that are not the node's own.
  static std::string left_on(const std::string& node) {
    return on(node, {"bash", "-c",
                     "for folder in /proc/[0-9]*; do\n"
                     "  pid=${folder#/proc/}\n"
                     "  [ $pid = $$ ] || case $(tr '\\0' ' ' <$folder/cmdline 2>/dev/null) in\n"
                     "    *node.sh\\ *|munged\\ *|slurmd\\ *|'sleep infinity '|'') ;;\n"
                     "    *) echo $pid $(tr '\\0' ' ' <$folder/cmdline) ;;\n"
                     "  esac\n"
                     "done\n"
                     "ls -d /dev/shm/* /run/ompi.* /run/slurm/tmp/* 2>/dev/null\n"
                     "exit 0"})
        .out;
  }

  bool is_up_ = false;
};

}  // namespace echelon::test
