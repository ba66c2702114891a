#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

/// A second node that is this machine by another name: what mpirun uses as ssh runs the command here, and, as ssh
/// does, without the environment of the one who calls.
class two_nodes : public testing::Test {
 protected:
  two_nodes() {
    folder_.write("hosts", "localhost slots=1\nnode.invalid slots=1\n");  // no name of any machine (RFC 6761)
    folder_.write("agent",
                  "#!/bin/sh\n"
                  "shift\n"
                  "exec env -i PATH=\"$PATH\" HOME=\"$HOME\" OMPI_ALLOW_RUN_AS_ROOT=1 "
                  "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 sh -c \"$*\"\n");
    std::filesystem::permissions(folder_.path() / "agent", std::filesystem::perms::owner_all);
  }

  ~two_nodes() override { expect_nothing_left(); }

  Outcome run(const Arguments& arguments) {
    return run_echelon(Arguments{"-n", "2"} + arguments,
                       {.environment = {{"OMPI_MCA_plm", "rsh"},
                                        {"OMPI_MCA_plm_rsh_agent", folder_.path() / "agent"},
                                        {"OMPI_MCA_orte_default_hostfile", folder_.path() / "hosts"}}});
  }

  TemporaryFolder folder_;
};

TEST_F(two_nodes, rank_on_another_node_takes_part) {
  const Outcome outcome = run({"pi", "--points", "1e8", "--json", "-"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  expect_only_notes(outcome);
  const auto record = nlohmann::json::parse(outcome.out, nullptr, false);
  ASSERT_TRUE(record.is_object()) << outcome;
  EXPECT_EQ(record["context"]["ranks"], 2);
  EXPECT_EQ(record["context"]["launcher"], "echelon");
  EXPECT_GT(record["ranks"][1]["items"], 0);
  EXPECT_GT(record["ranks"][1]["between_nodes_messages"], 0);
  EXPECT_GT(record["ranks"][1]["between_nodes_bytes"], 0);
}

TEST_F(two_nodes, chunks_are_claimed_over_the_network) {
  for (const char* schedule : {"dynamic", "guided"}) {
    const Outcome outcome = run({"pi", "--points", "1e9", "--schedule", schedule, "--json", "-"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome;
    const auto record = nlohmann::json::parse(outcome.out, nullptr, false);
    ASSERT_TRUE(record.is_object()) << outcome;
    EXPECT_EQ(record["result"]["error"], 0);
    EXPECT_GT(record["ranks"][1]["items"], 0);
  }
}

TEST_F(two_nodes, share_queues_counters_and_files) {
  for (const Arguments& command : {Arguments{"queue", "--items", "2e5"},
                                   {"queue", "--items", "1e3", "--bytes", "1e5", "--capacity", "3"},
                                   {"counter", "--increments", "1e4"},
                                   {"counter", "--increments", "1e3", "--lock"},
                                   {"log", "--lines", "1e3", folder_.path() / "log"},
                                   {"fill", "--size", "1e6", "--out", folder_.path() / "table.npy"}}) {
    const Outcome outcome = run(command + Arguments{"--json", "-"});
    EXPECT_EQ(outcome.exit_code, 0) << command.front() << outcome;  // each checks its own answer
    const auto record = nlohmann::json::parse(outcome.out, nullptr, false);
    ASSERT_TRUE(record.is_object()) << outcome;
    EXPECT_GT(record["ranks"][1]["items"], 0) << command.front();
  }
}

TEST_F(two_nodes, mistake_is_one_line) {
  const Outcome outcome = run({"pi", "--json", "/proc/nonexistent/x"});
  EXPECT_EQ(outcome.exit_code, 2) << outcome;
  EXPECT_EQ(lines(outcome.err).size(), 1U) << outcome;
}

}  // namespace
}  // namespace echelon::test
