// The exact command of each run.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/study/command_line.hpp>

namespace echelon::study {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Pair;
using Words = std::vector<std::string>;

Machine machine(bool in_slurm = false) {
  return {
      .echelon = "/bin/echelon",
      .in_slurm = in_slurm,
      .start = [](const launch::Launcher& launcher, const Point& point, const Words& variables, const Words& program) {
        using Kind = launch::Launcher::Kind;
        if (launcher.kind == Kind::custom) {
          return start_command(launcher, {.ranks = point.ranks, .threads = point.threads}, program);
        }
        Words words{launcher.kind == Kind::srun ? "srun" : "mpirun", "-n", std::to_string(point.ranks),
                    "PE=" + std::to_string(point.threads)};
        for (const std::string& variable : variables) words.push_back("-x" + variable);
        words.insert(words.end(), program.begin(), program.end());
        return words;
      }};
}

CommandLine line_of(const Words& command, const std::string& launcher = "auto", Point point = {4, 2},
                    bool in_slurm = false, const std::string& weak = "") {
  Plan plan;
  plan.command = command;
  plan.launcher = launcher;
  plan.weak = weak;
  plan.folder = "/work";
  return command_line(plan, point, "/d/record.json", machine(in_slurm));
}

TEST(command_line, workload_is_run_by_echelon_itself_and_records_itself) {
  const CommandLine line = line_of({"pi", "--points", "1e9"});
  EXPECT_THAT(line.argv, ElementsAre("/bin/echelon", "-n", "4", "pi", "--threads", "2", "--json", "/d/record.json",
                                     "--quiet", "--points", "1e9"));
  EXPECT_TRUE(line.own_workload);
  EXPECT_TRUE(line.cpu_is_known);
  EXPECT_EQ(line.folder, "/work");
}

TEST(command_line, workload_without_threads_is_given_none) {
  for (const char* name : {"queue", "counter", "log", "map"}) {
    EXPECT_THAT(line_of({name, "word"}).argv,
                ElementsAre("/bin/echelon", "-n", "4", name, "--json", "/d/record.json", "--quiet", "word"));
  }
}

TEST(command_line, launcher_that_was_asked_for_is_handed_on) {
  EXPECT_THAT(line_of({"pi"}, "srun", {4, 2}, true).argv,
              ElementsAre("/bin/echelon", "-n", "4", "--launcher", "srun", "pi", "--threads", "2", "--json",
                          "/d/record.json", "--quiet"));
}

TEST(command_line, other_programs_are_started_as_the_launcher_says) {
  const CommandLine line = line_of({"./solver", "-n", "4"});
  EXPECT_THAT(line.argv,
              ElementsAre("mpirun", "-n", "4", "PE=2", "-xOMP_NUM_THREADS", "-xECHELON_RECORD", "./solver", "-n", "4"));
  EXPECT_FALSE(line.own_workload);
  EXPECT_TRUE(line.cpu_is_known);
  EXPECT_EQ(line_of({"./solver"}, "srun").argv.front(), "srun");
  EXPECT_FALSE(line_of({"./solver"}, "srun").cpu_is_known);
  EXPECT_FALSE(line_of({"./solver"}, "auto", {4, 2}, true).cpu_is_known) << "ranks may be on other nodes";
  EXPECT_EQ(line_of({"./solver"}, "auto", {1, 1}).argv.front(), "mpirun") << "one rank is started like all others";
}

TEST(command_line, template_says_where_everything_goes) {
  EXPECT_THAT(line_of({"./solver", "a b"}, "ssh 'some host' run -np{ranks} --depth {threads} {command} end").argv,
              ElementsAre("ssh", "some host", "run", "-np4", "--depth", "2", "./solver", "a b", "end"));
  EXPECT_THAT(line_of({"pi"}, "run {ranks} {command}").argv,
              ElementsAre("run", "4", "/bin/echelon", "pi", "--threads", "2", "--json", "/d/record.json", "--quiet"));
}

TEST(command_line, ranks_threads_and_work_are_put_into_the_command) {
  EXPECT_THAT(line_of({"./solver", "{ranks}x{threads}", "n={}"}, "run {ranks} {command}", {4, 2}, false, "10*p").argv,
              ElementsAre("run", "4", "./solver", "4x2", "n=80"));
  EXPECT_THAT(line_of({"find", "{}"}, "run {ranks} {command}").argv, ElementsAre("run", "4", "find", "{}"))
      << "without --weak, {} is the command's own";
}

TEST(command_line, environment_says_threads_and_where_a_record_may_go) {
  const CommandLine line = line_of({"./solver"});
  EXPECT_THAT(line.environment, Contains(Pair("OMP_NUM_THREADS", "2")));
  EXPECT_THAT(line.environment, Contains(Pair("ECHELON_RECORD", "/d/record.json")));
  EXPECT_THAT(line_of({"map", "true"}).environment, ElementsAre(Pair("OMP_NUM_THREADS", "2")))
      << "what map runs would take it for its own";
}

TEST(command_line, text_is_for_a_shell) {
  EXPECT_EQ(shell_text({.argv = {"a", "b c", "it's", "", "$x"}, .environment = {{"V", "1 2"}}}),
            "V='1 2' a 'b c' 'it'\\''s' '' '$x'");
}

}  // namespace
}  // namespace echelon::study
