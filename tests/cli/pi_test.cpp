#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <numbers>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::MatchesRegex;

std::string read(const std::filesystem::path& path) {
  std::ifstream in{path};
  EXPECT_TRUE(in) << path;
  return {std::istreambuf_iterator<char>{in}, {}};
}

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator{folder}) names.push_back(entry.path().filename());
  std::ranges::sort(names);
  return names;
}

/// The record that a run prints with --json -; null where it does not.
json record_of(const Arguments& arguments, RunOptions options = {}) {
  const Outcome outcome = run_echelon(arguments + Arguments{"--json", "-"}, std::move(options));
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  const json record = json::parse(outcome.out, nullptr, false);
  EXPECT_TRUE(record.is_object()) << outcome;
  return record.is_object() ? record : json{};
}

void expect_table(const Outcome& outcome, std::size_t ranks) {
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  expect_only_notes(outcome);
  const std::vector<std::string> table = lines(outcome.out);
  ASSERT_EQ(table.size(), ranks + 6) << outcome.out;
  EXPECT_THAT(table[0], MatchesRegex(R"(pi = 3\.14159265[0-9]+   error -?[0-9]\S*)"));
  EXPECT_THAT(table[1], MatchesRegex(R"(1000003 points in [0-9]+\.[0-9]+ s, [0-9]\S* points/s   )"
                                     R"(fused, static, \w+, [0-9]+ ranks? x .*)"));
  EXPECT_EQ(table[2], "");
  EXPECT_THAT(table[3],
              MatchesRegex(" *rank +host +cpus +chunks +points +compute s +communicate s +wait s +cpu % +points/s"));
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    EXPECT_THAT(table[4 + rank], MatchesRegex(" *" + std::to_string(rank) + R"(  \S+ +[0-9,-]+ +[0-9]+ .*)"));
  }
  EXPECT_THAT(table[ranks + 5],
              MatchesRegex("load balance [01]\\.[0-9]{3}   communication efficiency [01]\\.[0-9]{3}   "
                           "parallel efficiency [01]\\.[0-9]{3}"));
}

TEST(pi, table_has_the_answer_a_line_a_rank_and_the_efficiencies) {
  expect_table(run_echelon({"pi", "--points", "1000003"}), 1);
  expect_table(run_echelon({"-n", "2", "pi", "--points", "1000003"}), 2);
  expect_table(run_echelon({"-n", "3", "pi", "--points", "1000003"}), 3);
  expect_table(run_mpirun(2, {"pi", "--points", "1000003"}), 2);
}

TEST(pi, quiet_prints_the_number_only) {
  for (const Arguments& start : {Arguments{}, Arguments{"-n", "3"}}) {
    const Outcome outcome = run_echelon(start + Arguments{"pi", "--quiet"});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.out, "3.141592653589793\n");
    EXPECT_EQ(outcome.err, "");
  }
}

TEST(pi, quiet_number_reads_back_as_the_record_s_value) {
  for (const char* points : {"1", "2", "3", "1000003"}) {
    const Outcome outcome = run_echelon({"pi", "--points", points, "--quiet"});
    const json record = record_of({"pi", "--points", points});
    ASSERT_TRUE(record.is_object());
    EXPECT_EQ(std::stod(outcome.out), record["result"]["value"].get<double>()) << points;
  }
}

void expect_members(const json& object, const std::vector<std::string>& names) {
  for (const std::string& name : names) EXPECT_TRUE(object.contains(name)) << name;
}

void expect_record(const json& record, std::uint64_t ranks, std::uint64_t points, std::uint64_t repeat) {
  ASSERT_TRUE(record.is_object());
  EXPECT_EQ(record.value("schema", ""), "echelon.record/1");
  EXPECT_EQ(record.value("command", ""), "pi");
  expect_members(record, {"argv", "started_at", "wall_s", "context", "parameters", "result", "repetitions_s", "ranks",
                          "efficiency"});
  expect_members(record["context"],
                 {"version", "commit", "dirty", "build_type", "compiler", "mpi", "isa", "cpu_model", "hosts", "ranks",
                  "threads", "cpus_allowed", "oversubscribed", "launcher", "slurm"});
  expect_members(record["parameters"], {"points", "kernel", "schedule", "block", "chunk", "threads", "repeat", "isa"});
  expect_members(record["result"], {"value", "value_hex", "error", "points", "points_per_s"});
  EXPECT_EQ(record["context"]["ranks"], ranks);
  EXPECT_EQ(record["parameters"]["points"], points);
  EXPECT_EQ(record["repetitions_s"].size(), repeat);
  const auto value = record["result"]["value"].get<double>();
  EXPECT_NEAR(value, std::numbers::pi, 1e-12);
  EXPECT_EQ(std::strtod(record["result"]["value_hex"].get<std::string>().c_str(), nullptr), value);
  EXPECT_THAT(record["argv"].get<std::vector<std::string>>(), testing::Contains("pi"));

  ASSERT_EQ(record["ranks"].size(), ranks);
  std::uint64_t items = 0;
  std::uint64_t next = 0;
  for (const json& rank : record["ranks"]) {
    expect_members(
        rank, {"rank", "host", "cpus", "role", "tasks", "items", "startup_s", "compute_s", "communicate_s", "wait_s",
               "wall_s", "cpu_s", "max_rss_bytes", "lost", "between_nodes_messages", "between_nodes_bytes"});
    EXPECT_EQ(rank["rank"], next++);
    const auto seconds = [&](const char* name) { return rank[name].get<double>(); };
    const double sum = seconds("startup_s") + seconds("compute_s") + seconds("communicate_s") + seconds("wait_s");
    EXPECT_NEAR(sum, seconds("wall_s"), 1e-9 * seconds("wall_s"));
    EXPECT_EQ(rank["lost"], false);
    items += rank["items"].get<std::uint64_t>();
  }
  EXPECT_EQ(items, points * repeat);
  const auto efficiency = [&](const char* name) { return record["efficiency"][name].get<double>(); };
  EXPECT_DOUBLE_EQ(efficiency("load_balance") * efficiency("communication"), efficiency("parallel"));
}

/// Cells of a CSV line that holds no quotes but around cells with commas.
std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> result{""};
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      result.emplace_back();
    } else {
      result.back() += c;
    }
  }
  return result;
}

void expect_csv(const std::string& text, const json& record) {
  const std::vector<std::string> rows = lines(text);
  ASSERT_EQ(rows.size(), record["ranks"].size() + 1);
  const std::vector<std::string> head = cells(rows[0]);
  for (std::size_t i = 1; i < rows.size(); ++i) {
    const std::vector<std::string> row = cells(rows[i]);
    ASSERT_EQ(row.size(), head.size()) << rows[i];
    std::map<std::string, std::string> named;
    for (std::size_t c = 0; c < head.size(); ++c) named[head[c]] = row[c];
    const json& rank = record["ranks"][i - 1];
    EXPECT_EQ(named["command"], "pi");
    EXPECT_EQ(named["started_at"], record["started_at"].get<std::string>());
    EXPECT_EQ(named["schedule"], record["parameters"]["schedule"].get<std::string>());
    EXPECT_EQ(named["host"], rank["host"].get<std::string>());
    EXPECT_EQ(named["cpus"], rank["cpus"].get<std::string>());
    for (const char* name : {"rank", "tasks", "items", "max_rss_bytes"}) EXPECT_EQ(named[name], rank[name].dump());
    for (const char* name : {"startup_s", "compute_s", "communicate_s", "wait_s", "wall_s", "cpu_s"}) {
      EXPECT_EQ(std::stod(named[name]), rank[name].get<double>()) << name;
    }
  }
}

TEST(pi, json_and_csv_files_hold_the_whole_run) {
  for (const char* ranks : {"1", "2", "3"}) {
    const TemporaryFolder folder;
    // Names without a folder: they belong to where the command was given, whoever starts the ranks.
    const Outcome outcome = run_echelon({"-n", ranks, "pi", "--points", "1000003", "--schedule", "guided", "--repeat",
                                         "2", "--json", "run.json", "--csv", "run.csv"},
                                        {.folder = folder.path()});
    EXPECT_EQ(outcome.exit_code, 0) << outcome;
    EXPECT_TRUE(outcome.out.starts_with("pi = "));
    expect_only_notes(outcome);
    EXPECT_EQ(names_in(folder.path()), (std::vector<std::string>{"run.csv", "run.json"}));
    const json record = json::parse(read(folder.path() / "run.json"), nullptr, false);
    expect_record(record, std::stoul(ranks), 1'000'003, 2);
    if (record.is_object()) expect_csv(read(folder.path() / "run.csv"), record);
  }
}

TEST(pi, json_to_standard_output_is_all_that_is_there) {
  expect_record(record_of({"pi", "--points", "1e6"}), 1, 1'000'000, 1);
  expect_record(record_of({"-n", "2", "pi", "--points", "1e6"}), 2, 1'000'000, 1);
}

TEST(pi, csv_to_standard_output_is_all_that_is_there) {
  const Outcome outcome = run_echelon({"-n", "2", "pi", "--points", "1e6", "--csv", "-"});
  EXPECT_EQ(outcome.exit_code, 0);
  ASSERT_EQ(lines(outcome.out).size(), 3U) << outcome.out;
  EXPECT_TRUE(outcome.out.starts_with("started_at,command,"));
}

TEST(pi, ranks_may_be_given_before_or_after_the_command) {
  for (const Arguments& arguments :
       {Arguments{"-n", "2", "pi"}, Arguments{"pi", "-n", "2"}, Arguments{"pi", "--ranks", "2"}}) {
    const json record = record_of(arguments + Arguments{"--points", "1e6"});
    ASSERT_TRUE(record.is_object());
    EXPECT_EQ(record["context"]["ranks"], 2);
  }
}

TEST(pi, launcher_is_named) {
  const Arguments pi{"pi", "--points", "1000"};
  const auto launcher = [](const json& record) { return record.is_object() ? record["context"]["launcher"] : json{}; };
  EXPECT_EQ(launcher(record_of(pi)), "none");
  EXPECT_EQ(launcher(record_of(Arguments{"-n", "2"} + pi)), "echelon");
  EXPECT_EQ(launcher(record_of(Arguments{"-n", "1"} + pi)), "echelon");
  const Outcome outcome = run_mpirun(2, pi + Arguments{"--json", "-"});
  EXPECT_EQ(launcher(json::parse(outcome.out, nullptr, false)), "mpirun") << outcome;
}

TEST(pi, repeat_shows_the_median_and_keeps_every_time) {
  const TemporaryFolder folder;
  const Outcome outcome =
      run_echelon({"-n", "2", "pi", "--points", "1e6", "--repeat", "5", "--json", "x"}, {.folder = folder.path()});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.out, HasSubstr("median of 5 repetitions, "));
  expect_record(json::parse(read(folder.path() / "x"), nullptr, false), 2, 1'000'000, 5);
}

TEST(pi, more_ranks_than_points_runs_and_says_so) {
  const Outcome outcome = run_echelon({"-n", "3", "pi", "--points", "2"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  expect_only_notes(outcome);
  EXPECT_THAT(outcome.err, HasSubstr("2 of 3 ranks got no work"));
  EXPECT_THAT(outcome.out, HasSubstr("pi = 3.16"));
}

TEST(pi, more_threads_than_cpus_is_noted_once) {
  const std::string threads = std::to_string(std::thread::hardware_concurrency() + 1);
  const Outcome outcome = run_echelon({"pi", "--points", "1e6", "--threads", threads});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  const auto notes = lines(outcome.err);
  EXPECT_EQ(std::ranges::count_if(
                notes, [&](const auto& l) { return l.starts_with("echelon: note: oversubscribed: " + threads); }),
            1)
      << outcome.err;
}

// Of these points partial sums that were rounded before they are added would give other bits.
TEST(pi, every_share_of_the_work_gives_the_same_bits) {
  std::map<std::string, std::vector<std::string>> by_value;
  for (const char* ranks : {"1", "2", "3", "4", "7"}) {
    for (const char* threads : {"1", "2"}) {
      for (const char* schedule : {"static", "dynamic", "guided", "factoring", "trapezoid"}) {
        const json record = record_of({"-n", ranks, "pi", "--points", "1000003", "--threads", threads, "--schedule",
                                       schedule, "--block", "1024"});
        if (!record.is_object()) continue;
        by_value[record["result"]["value_hex"]].push_back(std::string{ranks} + " x " + threads + " " + schedule);
      }
    }
  }
  EXPECT_EQ(by_value.size(), 1U) << testing::PrintToString(by_value);
}

TEST(pi, full_disk_is_one_line_and_the_code_for_broken) {
  for (const Arguments& start : {Arguments{}, Arguments{"-n", "1"}, Arguments{"-n", "2"}}) {
    for (const char* option : {"--json", "--csv"}) {
      const Outcome outcome = run_echelon(start + Arguments{"pi", "--points", "1000", "--quiet", option, "/dev/full"});
      EXPECT_EQ(outcome.exit_code, 4) << outcome;
      ASSERT_EQ(lines(outcome.err).size(), 1U) << outcome;
      EXPECT_THAT(outcome.err,
                  testing::MatchesRegex("echelon: rank 0 on .*: cannot write /dev/full: No space left.*\n"));
    }
  }
}

TEST(pi, full_standard_output_is_one_line_and_the_code_for_broken) {
  for (const Arguments& start : {Arguments{}, Arguments{"-n", "2"}}) {
    for (const Arguments& more : {Arguments{}, Arguments{"--quiet"}, Arguments{"--json", "-"}}) {
      const Arguments arguments = start + Arguments{"pi", "--points", "1000"} + more;
      const Outcome outcome = run_echelon(arguments, {.output_file = "/dev/full"});
      EXPECT_EQ(outcome.exit_code, 4) << testing::PrintToString(arguments) << outcome;
      std::vector<std::string> complaints = lines(outcome.err);
      std::erase_if(complaints, [](const std::string& line) { return line.starts_with("echelon: note: "); });
      ASSERT_EQ(complaints.size(), 1U) << outcome;
      EXPECT_TRUE(complaints[0].starts_with("echelon: ")) << outcome;
      EXPECT_THAT(complaints[0], HasSubstr("cannot write standard output: No space left"));
    }
  }
}

TEST(pi, file_that_is_there_is_replaced) {
  const TemporaryFolder folder;
  folder.write("run.json", std::string(100'000, 'x'));
  const Outcome outcome = run_echelon({"pi", "--points", "1e6", "--json", "run.json"}, {.folder = folder.path()});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"run.json"});
  expect_record(json::parse(read(folder.path() / "run.json"), nullptr, false), 1, 1'000'000, 1);
}

TEST(pi, failed_run_leaves_the_file_that_is_there) {
  const TemporaryFolder folder;
  folder.write("run.json", "before");
  const auto run = [&](const Arguments& more, const std::string& output) {
    return run_echelon(Arguments{"pi", "--points", "1e6", "--json", "run.json"} + more,
                       {.folder = folder.path(), .output_file = output});
  };
  EXPECT_EQ(run({"--threads", "0"}, "").exit_code, 2);
  EXPECT_EQ(run({"--csv", "/proc/nonexistent/x"}, "").exit_code, 2);
  EXPECT_EQ(run({"--block", "2e6"}, "").exit_code, 2);
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"run.json"});
  EXPECT_EQ(read(folder.path() / "run.json"), "before");
  // What was measured is kept, though the table could not be printed.
  EXPECT_EQ(run({}, "/dev/full").exit_code, 4);
  expect_record(json::parse(read(folder.path() / "run.json"), nullptr, false), 1, 1'000'000, 1);
}

TEST(pi, output_that_cannot_be_said_does_not_change_the_status) {
  // A shell, for only it can close descriptors or send errors elsewhere.
  const auto shell = [](const std::string& redirected) {
    return run_program({"sh", "-c", ECHELON_PROGRAM " " + redirected}, alone());
  };
  EXPECT_EQ(shell("pi --points 0 2>/dev/full").exit_code, 2);
  EXPECT_EQ(shell("pi --points 1000 --threads 64 2>/dev/full").exit_code, 0) << "a note could not be written";
  EXPECT_EQ(shell("pi --points 1000 <&- >&-").exit_code, 4);
  EXPECT_EQ(shell("-n 2 pi --points 1000 <&- >&-").exit_code, 4);
}

TEST(pi, input_of_the_caller_is_left_alone) {
  const Outcome outcome = run_program(
      {"sh", "-c", "printf '1\\n2\\n1\\n' | while read n; do " ECHELON_PROGRAM " -n $n pi --points 1000 --quiet; done"},
      alone());
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(lines(outcome.out).size(), 3U) << outcome;
}

TEST(pi, threads_that_openmp_does_not_give_are_not_claimed) {
  const Outcome outcome = run_echelon({"pi", "--threads", "2"}, {.environment = {{"OMP_THREAD_LIMIT", "1"}}});
  EXPECT_EQ(outcome.exit_code, 4) << outcome;
  EXPECT_THAT(outcome.err, testing::HasSubstr("OMP_THREAD_LIMIT"));
}

TEST(pi, crash_of_mpirun_in_its_own_end_is_not_the_run_s) {
  const TemporaryFolder folder;
  const std::string mpirun = (folder.path() / "mpirun").string();
  folder.write("mpirun", "#!/bin/sh\n" ECHELON_MPIEXEC " \"$@\"\nkill -SEGV $$\n");
  std::filesystem::permissions(mpirun, std::filesystem::perms::owner_all);
  RunOptions options;
  options.environment["PATH"] = folder.path().string() + ":" + std::getenv("PATH");
  const Outcome outcome = run_echelon({"-n", "2", "pi", "--points", "1e6", "--quiet"}, options);
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.err, "");
}

TEST(pi, without_mpirun_ranks_cannot_be_started_and_the_line_says_why) {
  const Outcome outcome = run_echelon({"-n", "2", "pi"}, {.environment = {{"PATH", "/proc/nonexistent"}}});
  EXPECT_EQ(outcome.exit_code, 4) << outcome;
  EXPECT_EQ(outcome.out, "");
  ASSERT_EQ(lines(outcome.err).size(), 1U) << outcome;
  EXPECT_THAT(outcome.err, HasSubstr("cannot start mpirun"));
  EXPECT_EQ(run_echelon({"pi", "--quiet"}, {.environment = {{"PATH", "/proc/nonexistent"}}}).exit_code, 0);
}

}  // namespace
}  // namespace echelon::test
