#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <map>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/measure/machine.hpp>

#include "support/temporary_folder.hpp"

namespace echelon::measure {
namespace {

using test::TemporaryFolder;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;
using testing::Pair;

Environment with(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const char* name) {
    const auto at = variables.find(name);
    return at == variables.end() ? std::nullopt : std::optional{at->second};
  };
}

TEST(cpu_list, is_written_with_ranges) {
  EXPECT_EQ(format_cpu_list({}), "");
  EXPECT_EQ(format_cpu_list({0}), "0");
  EXPECT_EQ(format_cpu_list({0, 1}), "0-1");
  EXPECT_EQ(format_cpu_list({0, 1, 2, 8}), "0-2,8");
  EXPECT_EQ(format_cpu_list({1, 3, 5, 6}), "1,3,5-6");
}

TEST(cpu_list, is_read_as_linux_writes_it) {
  EXPECT_THAT(parse_cpu_list(""), ElementsAre());
  EXPECT_THAT(parse_cpu_list("7"), ElementsAre(7));
  EXPECT_THAT(parse_cpu_list("0-2,8"), ElementsAre(0, 1, 2, 8));
  EXPECT_THAT(parse_cpu_list("3-3"), ElementsAre(3));
  EXPECT_THAT(parse_cpu_list("0,2,4-5,100-101"), ElementsAre(0, 2, 4, 5, 100, 101));
}

TEST(cpu_list, comes_back_from_its_text) {
  for (unsigned seed = 1; seed <= 500; ++seed) {
    std::mt19937 random{seed};
    std::vector<int> cpus;
    const unsigned part = 1 + random() % 8;
    for (int cpu = 0; cpu < 300; ++cpu) {
      if (random() % 8 < part) cpus.push_back(cpu);
    }
    ASSERT_EQ(parse_cpu_list(format_cpu_list(cpus)), cpus) << "seed " << seed;
  }
}

TEST(cpu_list, anything_else_is_refused) {
  for (const char* text : {" ",   "a",     "1,",  ",1",    ",",   "1,,2", "-",           "1-",
                           "-1",  "1-2-3", "1 2", "0x1",   "1.5", "+1",   "99999999999", "0-99999999999",
                           "3-1", "2,1",   "1,1", "0-3,2", "1\n"}) {
    EXPECT_THROW(static_cast<void>(parse_cpu_list(text)), std::invalid_argument) << "'" << text << "'";
  }
}

TEST(affinity, is_a_rising_list_of_cpus_of_this_machine) {
  const std::vector<int> cpus = affinity();
  EXPECT_FALSE(cpus.empty());
  EXPECT_TRUE(std::ranges::is_sorted(cpus));
  EXPECT_LE(cpus.size(), online_cpus());
}

TEST(whole_cores, threads_of_one_core_count_once) {
  const TemporaryFolder root;
  const auto add = [&](int cpu, const char* siblings) {
    root.write("sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list", siblings);
  };
  add(0, "0,4\n");
  add(1, "1,5\n");
  add(4, "0,4\n");
  add(5, "1,5\n");
  EXPECT_EQ(whole_cores({0, 1, 4, 5}, root.path()), 2U);
  EXPECT_EQ(whole_cores({0, 1}, root.path()), 2U);
  EXPECT_EQ(whole_cores({0, 4}, root.path()), 1U);
  EXPECT_EQ(whole_cores({5}, root.path()), 1U);
}

TEST(whole_cores, cpus_without_a_topology_are_cores) {
  const TemporaryFolder root;
  EXPECT_EQ(whole_cores({0, 1, 2}, root.path()), 3U);
  EXPECT_EQ(whole_cores({}, root.path()), 0U);
}

TEST(whole_cores, of_this_machine_are_no_more_than_its_cpus) {
  EXPECT_GE(whole_cores(affinity()), 1U);
  EXPECT_LE(whole_cores(affinity()), affinity().size());
}

TEST(cgroup_cpu_quota, v2_is_read) {
  const TemporaryFolder root;
  root.write("proc/self/cgroup", "0::/job\n");
  root.write("sys/fs/cgroup/job/cpu.max", "150000 100000\n");
  EXPECT_THAT(cgroup_cpu_quota(root.path()), Optional(1.5));
}

TEST(cgroup_cpu_quota, v2_max_is_no_limit) {
  const TemporaryFolder root;
  root.write("proc/self/cgroup", "0::/job\n");
  root.write("sys/fs/cgroup/job/cpu.max", "max 100000\n");
  EXPECT_EQ(cgroup_cpu_quota(root.path()), std::nullopt);
}

TEST(cgroup_cpu_quota, v2_tightest_of_the_nested_groups_counts) {
  for (const int tight : {0, 1, 2, 3}) {
    const TemporaryFolder root;
    root.write("proc/self/cgroup", "0::/a/b/c\n");
    const char* groups[] = {"", "a/", "a/b/", "a/b/c/"};
    for (int i = 0; i < 4; ++i) {
      const std::string quota = i == tight ? "50000" : i % 2 == 0 ? "max" : "800000";
      root.write("sys/fs/cgroup/" + std::string{groups[i]} + "cpu.max", quota + " 100000\n");
    }
    EXPECT_THAT(cgroup_cpu_quota(root.path()), Optional(0.5)) << tight;
  }
}

TEST(cgroup_cpu_quota, v2_mount_counts_where_the_path_is_the_hosts) {
  const TemporaryFolder root;
  root.write("proc/self/cgroup", "0::/docker/0123456789abcdef\n");
  root.write("sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_THAT(cgroup_cpu_quota(root.path()), Optional(2.0));
}

TEST(cgroup_cpu_quota, v2_groups_beside_the_process_do_not_count) {
  const TemporaryFolder root;
  root.write("proc/self/cgroup", "0::/a/b\n");
  root.write("sys/fs/cgroup/a/c/cpu.max", "100000 100000\n");
  root.write("sys/fs/cgroup/a/b/c/cpu.max", "100000 100000\n");
  EXPECT_EQ(cgroup_cpu_quota(root.path()), std::nullopt);
}

TEST(cgroup_cpu_quota, v1_is_read) {
  const TemporaryFolder root;
  root.write("proc/self/cgroup", "12:cpuset:/set\n4:cpu,cpuacct:/job\n1:name=systemd:/user\n0::/\n");
  root.write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "250000\n");
  root.write("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
  root.write("sys/fs/cgroup/cpu/set/cpu.cfs_quota_us", "100000\n");  // cpuset is another controller
  root.write("sys/fs/cgroup/cpu/set/cpu.cfs_period_us", "100000\n");
  EXPECT_THAT(cgroup_cpu_quota(root.path()), Optional(2.5));
}

TEST(cgroup_cpu_quota, v1_minus_one_is_no_limit_and_a_parent_may_have_one) {
  const TemporaryFolder root;
  root.write("proc/self/cgroup", "4:cpuacct,cpu:/slurm/job\n");
  root.write("sys/fs/cgroup/cpu/slurm/job/cpu.cfs_quota_us", "-1\n");
  root.write("sys/fs/cgroup/cpu/slurm/job/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cgroup_cpu_quota(root.path()), std::nullopt);
  root.write("sys/fs/cgroup/cpu/slurm/cpu.cfs_quota_us", "300000\n");
  root.write("sys/fs/cgroup/cpu/slurm/cpu.cfs_period_us", "100000\n");
  EXPECT_THAT(cgroup_cpu_quota(root.path()), Optional(3.0));
}

TEST(cgroup_cpu_quota, missing_and_broken_files_are_no_limit) {
  const TemporaryFolder root;
  EXPECT_EQ(cgroup_cpu_quota(root.path()), std::nullopt);
  root.write("proc/self/cgroup", "nonsense\n\n0::/job\n4:cpu:/job\n");
  EXPECT_EQ(cgroup_cpu_quota(root.path()), std::nullopt);
  root.write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "100000\n");  // without a period
  for (const char* text : {"", "\n", "100000\n", "0 100000\n", "100000 0\n", "abc def\n", "-5 100000\n"}) {
    root.write("sys/fs/cgroup/job/cpu.max", text);
    EXPECT_EQ(cgroup_cpu_quota(root.path()), std::nullopt) << text;
  }
}

TEST(usable_cpus, are_the_least_of_affinity_quota_and_slurm) {
  EXPECT_EQ(usable_cpus(8, std::nullopt, std::nullopt), 8U);
  EXPECT_EQ(usable_cpus(8, 4.0, std::nullopt), 4U);
  EXPECT_EQ(usable_cpus(8, 16.0, std::nullopt), 8U);
  EXPECT_EQ(usable_cpus(8, std::nullopt, 2), 2U);
  EXPECT_EQ(usable_cpus(8, 4.0, 6), 4U);
  EXPECT_EQ(usable_cpus(2, 4.0, 6), 2U);
}

TEST(usable_cpus, part_of_a_cpu_is_one) {
  EXPECT_EQ(usable_cpus(8, 1.5, std::nullopt), 2U);
  EXPECT_EQ(usable_cpus(8, 0.01, std::nullopt), 1U);
  EXPECT_EQ(usable_cpus(0, std::nullopt, std::nullopt), 1U);
}

TEST(slurm_cpus, are_those_on_the_node) {
  EXPECT_THAT(slurm_cpus(with({{"SLURM_CPUS_ON_NODE", "12"}})), Optional(std::uint64_t{12}));
  EXPECT_EQ(slurm_cpus(with({})), std::nullopt);
  EXPECT_EQ(slurm_cpus(with({{"SLURM_CPUS_ON_NODE", ""}})), std::nullopt);
  EXPECT_EQ(slurm_cpus(with({{"SLURM_CPUS_ON_NODE", "many"}})), std::nullopt);
  EXPECT_EQ(slurm_cpus(with({{"SLURM_CPUS_ON_NODE", "-1"}})), std::nullopt);
}

TEST(slurm_nodes, are_named_one_by_one) {
  const auto nodes = [](const char* list) { return slurm_nodes(with({{"SLURM_JOB_NODELIST", list}})); };
  EXPECT_THAT(nodes("node1"), ElementsAre("node1"));
  EXPECT_THAT(nodes("node[08-10,4],login"), ElementsAre("node08", "node09", "node10", "node4", "login"));
  EXPECT_THAT(nodes("rack[1-2]n[01,3]-ib"), ElementsAre("rack1n01-ib", "rack1n3-ib", "rack2n01-ib", "rack2n3-ib"));
  EXPECT_THAT(slurm_nodes(with({})), IsEmpty());
  EXPECT_THAT(nodes(""), IsEmpty());
  for (const char* strange :
       {"node[1-", "node]1[", "n[[1]]", "n[a-b]", "n[3-1]", "n[]", "a,,b", "n[1-2-3]", "n[0-18446744073709551615]",
        "n[1-9999]m[1-9999]", "n[18446744073709551615-18446744073709551616]"}) {
    EXPECT_THAT(nodes(strange), ElementsAre(strange)) << "as it is";
  }
}

TEST(slurm_allocation, has_what_each_node_gives) {
  const auto job = slurm_allocation(with({{"SLURM_JOB_ID", "17"},
                                          {"SLURM_JOB_CPUS_PER_NODE", "16,8(x2)"},
                                          {"SLURM_TASKS_PER_NODE", "4(x3)"},
                                          {"SLURM_NTASKS", "12"}}));
  ASSERT_TRUE(job);
  EXPECT_THAT(job->node_cpus, ElementsAre(16, 8, 8));
  EXPECT_THAT(job->node_tasks, ElementsAre(4, 4, 4));
  EXPECT_EQ(job->cpus(), 32U);
  EXPECT_EQ(job->ranks(1), 12U) << "as many tasks as were asked for";
  EXPECT_EQ(job->nodes_for(1, 1), 1U);
  EXPECT_EQ(job->nodes_for(16, 1), 1U);
  EXPECT_EQ(job->nodes_for(17, 1), 2U);
  EXPECT_EQ(job->nodes_for(9, 2), 2U);
  EXPECT_EQ(job->nodes_for(100, 1), 3U);
  EXPECT_EQ(job->nodes_for(2, 64), 2U) << "a rank is on one node";
}

TEST(slurm_allocation, without_tasks_has_room_for_what_its_cpus_hold) {
  const auto job = slurm_allocation(with({{"SLURM_JOB_ID", "17"}, {"SLURM_JOB_CPUS_PER_NODE", "16,3"}}));
  ASSERT_TRUE(job);
  EXPECT_THAT(job->node_tasks, IsEmpty());
  EXPECT_EQ(job->ranks(1), 19U);
  EXPECT_EQ(job->ranks(2), 9U) << "a rank is on one node";
  EXPECT_EQ(job->ranks(64), 1U);
}

TEST(slurm_allocation, is_nothing_outside_a_job_or_where_it_cannot_be_read) {
  EXPECT_FALSE(slurm_allocation(with({{"SLURM_JOB_CPUS_PER_NODE", "16"}})));
  for (const char* text : {"", "x", "2(x", "2(x3", "2(3)", "2,", ",2", "2(x3)4", "2(x9999999999)"}) {
    EXPECT_FALSE(slurm_allocation(with({{"SLURM_JOB_ID", "17"}, {"SLURM_JOB_CPUS_PER_NODE", text}}))) << text;
  }
}

TEST(slurm_context, holds_what_is_set_within_a_job) {
  const auto slurm = slurm_context(with({{"SLURM_JOB_ID", "17"},
                                         {"SLURM_NTASKS", "4"},
                                         {"SLURM_JOB_NODELIST", "n[1-2]"},
                                         {"HOME", "/root"},
                                         {"SLURM_RESTART_COUNT", "1"}}));
  ASSERT_TRUE(slurm);
  EXPECT_THAT(*slurm, ElementsAre(Pair("SLURM_JOB_ID", "17"), Pair("SLURM_JOB_NODELIST", "n[1-2]"),
                                  Pair("SLURM_NTASKS", "4"), Pair("SLURM_RESTART_COUNT", "1")));
}

TEST(slurm_context, is_nothing_outside_a_job) {
  EXPECT_EQ(slurm_context(with({{"SLURM_CPUS_ON_NODE", "4"}})), std::nullopt);
}

TEST(environment, tells_unset_from_empty) {
  setenv("ECHELON_TEST_VARIABLE", "", 1);
  EXPECT_THAT(environment("ECHELON_TEST_VARIABLE"), Optional(std::string{}));
  setenv("ECHELON_TEST_VARIABLE", "text", 1);
  EXPECT_THAT(environment("ECHELON_TEST_VARIABLE"), Optional(std::string{"text"}));
  unsetenv("ECHELON_TEST_VARIABLE");
  EXPECT_EQ(environment("ECHELON_TEST_VARIABLE"), std::nullopt);
}

TEST(utc_now, is_iso_8601_and_now) {
  const std::time_t before = std::time(nullptr);
  const std::string text = utc_now();
  const std::time_t after = std::time(nullptr);
  ASSERT_THAT(text, testing::MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"));
  std::tm utc{};
  ASSERT_NE(strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &utc), nullptr);
  EXPECT_GE(timegm(&utc), before);
  EXPECT_LE(timegm(&utc), after);
}

TEST(usage, cpu_time_and_memory_of_this_process_are_measured) {
  const Usage used = usage();
  EXPECT_GE(used.cpu.count(), 0);
  EXPECT_GT(used.max_rss_bytes, 100'000U);
  EXPECT_GE(usage().cpu, used.cpu);
}

TEST(machine, has_a_name_and_a_model) {
  EXPECT_FALSE(host_name().empty());
  EXPECT_FALSE(cpu_model().empty());
}

}  // namespace
}  // namespace echelon::measure
