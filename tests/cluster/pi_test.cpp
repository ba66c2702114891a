#include <string>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cluster/cluster.hpp"

namespace echelon::test {
namespace {

/// Few points, so that the last bits are those of their sum and not pi's.
Arguments pi(const std::string& schedule) {
  return {"pi", "--points", "3e6", "--block", "1024", "--schedule", schedule, "--json", "-"};
}

/// Open MPI 4.1.4 itself now and then ends by a jump to nowhere while its ranks connect by TCP on a machine under load,
/// as any MPI program does here (slurm_test.cpp): so it is started again.
constexpr int most_attempts = 3;
bool has_crashed(const std::string& said) {
  return said.find("signal 11") != std::string::npos || said.find("Segmentation fault") != std::string::npos;
}

const std::vector<std::string> schedules{"static", "dynamic", "guided", "factoring", "trapezoid"};

class cluster_pi : public cluster, public testing::WithParamInterface<std::tuple<int, std::string>> {
 protected:
  [[nodiscard]] int count() const { return std::get<0>(GetParam()); }
  [[nodiscard]] std::string ranks() const { return std::to_string(2 * count()); }
  [[nodiscard]] std::string launcher() const { return std::get<1>(GetParam()); }

  void expect_right(const std::string& text) const {
    static const std::string bits = [] {
      const auto record = nlohmann::json::parse(run_echelon(pi("static")).out, nullptr, false);
      return record.is_object() ? record["result"]["value_hex"] : "no record";
    }();
    const auto record = nlohmann::json::parse(text, nullptr, false);
    ASSERT_TRUE(record.is_object()) << text;
    EXPECT_EQ(record["result"]["value_hex"], bits);
    const auto& context = record["context"];
    EXPECT_EQ(context["launcher"], launcher());
    EXPECT_EQ(context["ranks"], 2 * count());
    EXPECT_EQ(context["hosts"], std::vector<std::string>(nodes.begin(), nodes.begin() + count()));
    EXPECT_EQ(context["slurm"]["SLURM_JOB_NUM_NODES"], std::to_string(count()));
    for (int rank = 0; rank < 2 * count(); ++rank) EXPECT_EQ(record["ranks"][rank]["host"], nodes.at(rank / 2));
  }
};

TEST_P(cluster_pi, has_the_bits_of_one_machine) {
  if (launcher() == "srun") {
    for (const std::string& schedule : schedules) {
      SCOPED_TRACE(schedule);
      Outcome outcome;
      for (int attempt = 0; attempt == 0 || (attempt < most_attempts && has_crashed(outcome.err)); ++attempt) {
        outcome = on_ctl(Arguments{"srun", "--quiet", "--mpi=pmix", "--kill-on-bad-exit=1", "-N",
                                   std::to_string(count()), "-n", ranks()} +
                         echelon_command(pi(schedule)));
      }
      EXPECT_EQ(outcome.exit_code, 0) << outcome;
      expect_only_notes(outcome);
      expect_right(outcome.out);
    }
    return;
  }
  const std::string start =
      launcher() == "mpirun" ? "mpirun -n " + ranks() + " " ECHELON_PROGRAM : ECHELON_PROGRAM " -n " + ranks();
  std::string body;
  for (const std::string& schedule : schedules) {
    body += start;
    for (const std::string& word : pi(schedule)) body += " " + word;
    body += " >" + schedule + " || exit\n";
  }
  JobOutcome outcome;
  for (int attempt = 0; attempt == 0 || (attempt < most_attempts && has_crashed(outcome.err)); ++attempt) {
    outcome = run_job(count(), body);
  }
  EXPECT_EQ(outcome.state, "COMPLETED") << outcome;
  for (const std::string& line : lines(outcome.err)) EXPECT_TRUE(line.starts_with("echelon: note: ")) << line;
  for (const std::string& schedule : schedules) {
    SCOPED_TRACE(schedule);
    expect_right(contents(schedule));
  }
}

INSTANTIATE_TEST_SUITE_P(each, cluster_pi,
                         testing::Combine(testing::Values(1, 2, 4), testing::Values("srun", "mpirun", "echelon")),
                         [](const auto& test) {
                           return std::get<1>(test.param) + "_on_" + std::to_string(std::get<0>(test.param));
                         });

using cluster_steps = cluster;

/// A shell that srun has opened is a step of one task, which holds its CPUs.
TEST_F(cluster_steps, of_one_task_are_one_rank_and_start_more) {
  const std::string step = "srun --quiet -N1 -n1 -c2 --mpi=";
  const std::string pi = " pi --points 1e6 --quiet";
  const std::vector<std::pair<std::string, std::string>> runs{
      {step + "none timeout 30 " ECHELON_PROGRAM + pi, "one rank"},
      {step + "none timeout 30 " ECHELON_PROGRAM " info --quiet", "info"},
      {step + "none timeout 30 " ECHELON_PROGRAM " -n 4" + pi, "srun in srun"},
      {step + "none timeout 30 " ECHELON_PROGRAM " -n 4 --launcher mpirun" + pi, "mpirun in srun"},
      {"SLURM_EXPORT_ENV=NONE timeout 30 " ECHELON_PROGRAM " -n all --launcher mpirun" + pi, "mpirun without export"},
      {"srun --quiet --interactive --preserve-env bash -c 'timeout 30 " ECHELON_PROGRAM " info --quiet && timeout "
       "30 " ECHELON_PROGRAM " -n 4" +
           pi + "'",
       "salloc with use_interactive_step"}};
  std::string body;
  for (const auto& [command, what] : runs) body += command + " || echo '" + what + " fails with' $?\n";
  body += step + "pmix " ECHELON_PROGRAM " -n 2" + pi + "; exit 0\n";
  folder_.write("shell", body);
  const Outcome outcome = on_ctl({"salloc", "--quiet", "-N2", "-n4", "bash", "shell"}, {.folder = folder_.path()});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  const std::string value = run_echelon({"pi", "--points", "1e6", "--quiet"}).out;
  EXPECT_EQ(outcome.out, value + "2\n" + value + value + value + "2\n" + value);
  EXPECT_THAT(outcome.err, testing::HasSubstr("leave the launcher out; if this is a shell that srun has opened, "));
  EXPECT_THAT(outcome.err, testing::Not(testing::HasSubstr("MPI_Init")));
}

}  // namespace
}  // namespace echelon::test
