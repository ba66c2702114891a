#pragma once

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "support/run_program.hpp"

// ECHELON_PROGRAM and ECHELON_MPIEXEC come from the test's DEFINES.

namespace echelon::test {

using Arguments = std::vector<std::string>;

[[nodiscard]] inline Arguments operator+(Arguments left, const Arguments& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

/// The program without a launcher and without what the user or ctest has set for one.
[[nodiscard]] inline RunOptions alone(RunOptions options = {}) {
  for (const char* name : {"OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "ECHELON_LAUNCHED"}) {
    options.environment.try_emplace(name, std::nullopt);
  }
  return options;
}

[[nodiscard]] inline Arguments echelon_command(const Arguments& arguments) {
  return Arguments{ECHELON_PROGRAM} + arguments;
}

[[nodiscard]] inline Outcome run_echelon(const Arguments& arguments, RunOptions options = {}) {
  return run_program(echelon_command(arguments), alone(std::move(options)));
}

/// Under a launcher of the user's own.
[[nodiscard]] inline Arguments mpirun_command(int ranks, const Arguments& arguments) {
  const std::string count = std::to_string(ranks);
  const Arguments mpirun{
      ECHELON_MPIEXEC, "-n",  count,        "--host", "localhost:" + count,  "--bind-to", "none", "--mca", "pml", "ob1",
      "--mca",         "btl", "self,vader", "--mca",  "mpi_yield_when_idle", "1"};
  return mpirun + echelon_command(arguments);
}

/// Open MPI refuses root unless told twice.
[[nodiscard]] inline RunOptions as_root_too(RunOptions options = {}) {
  options = alone(std::move(options));
  if (geteuid() == 0) {
    options.environment["OMPI_ALLOW_RUN_AS_ROOT"] = "1";
    options.environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1";
  }
  return options;
}

[[nodiscard]] inline Outcome run_mpirun(int ranks, const Arguments& arguments, RunOptions options = {}) {
  return run_program(mpirun_command(ranks, arguments), as_root_too(std::move(options)));
}

[[nodiscard]] inline std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> result;
  std::istringstream in{text};
  for (std::string line; std::getline(in, line);) result.push_back(line);
  return result;
}

/// Every line of a clean run's standard error.
inline void expect_only_notes(const Outcome& outcome) {
  for (const std::string& line : lines(outcome.err)) EXPECT_TRUE(line.starts_with("echelon: note: ")) << line;
}

/// Shared memory that this test's runs have left behind: folders that are named after the process that started the run.
inline std::vector<std::string> memory_left() {
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator{"/dev/shm"}) {
    const std::string name = entry.path().filename();
    int starter = 0;
    if (std::sscanf(name.c_str(), "echelon-%d-", &starter) != 1) continue;
    if (RunningProgram::started().contains(starter) && kill(starter, 0) != 0) left.push_back(name);
  }
  return left;
}

/// The processes of ranks that a program has started with -n. A rank may have forked others, which come after it.
[[nodiscard]] inline std::map<int, pid_t> ranks_of(const RunningProgram& program) {
  std::map<int, pid_t> found;
  for (const Process& process : descendants(program.pid())) {
    const auto rank = variable_of(process.pid, "OMPI_COMM_WORLD_RANK");
    if (!rank) continue;
    const auto [known, is_new] = found.emplace(std::stoi(*rank), process.pid);
    known->second = std::min(known->second, process.pid);
  }
  return found;
}

/// Of what `echelon -n` has started, by rank, those that have computed for so long that they are past MPI's start.
[[nodiscard]] inline std::map<int, pid_t> ranks_at_work(pid_t echelon) {
  std::map<int, pid_t> found;
  for (const Process& process : descendants(echelon)) {
    if (process.cpu_s < 0.3) continue;
    if (const auto rank = variable_of(process.pid, "OMPI_COMM_WORLD_RANK")) found[std::stoi(*rank)] = process.pid;
  }
  return found;
}

/// The launcher that `echelon -n` has started; 0 where there is none yet, or no more.
[[nodiscard]] inline pid_t launcher_of(pid_t echelon) {
  for (const Process& process : descendants(echelon)) {
    if (process.parent == echelon && variable_of(process.pid, "ECHELON_LAUNCHED")) return process.pid;
  }
  return 0;
}

/// Nothing of what a test started is left.
inline void expect_nothing_left() {
  EXPECT_TRUE(wait_until([] { return descendants(getpid()).empty(); })) << "processes were left over";
  EXPECT_THAT(memory_left(), testing::IsEmpty());
  for (const Process& process : descendants(getpid())) kill(process.pid, SIGKILL);
}

}  // namespace echelon::test
