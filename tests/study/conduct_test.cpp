// A whole study in a world without processes or clocks.
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/base/error.hpp>
#include <echelon/study/conduct.hpp>

#include "study/fake_record.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::study {
namespace {

using test::fake_record;
using test::read_fake_record;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class conducted : public testing::Test {
 protected:
  conducted() {
    plan.ranks = {1, 2, 4};
    plan.repeat = 3;
    plan.warmup = 1;
    plan.command = {"./program"};
    plan.launcher = "run {ranks} {command}";
  }

  std::string dir() const { return (folder.path() / "study").string(); }
  World world() {
    const auto start = [](const launch::Launcher& launcher, const Point& point, const std::vector<std::string>&,
                          const std::vector<std::string>& program) {
      return start_command(launcher, {.ranks = point.ranks, .threads = point.threads}, program);
    };
    return {.machine = {.echelon = "/bin/echelon", .start = start},
            .launch = [this](const CommandLine& line, const Store::Places& places,
                             std::optional<double> most_s) { return launch(line, places, most_s); },
            .stop_asked = [this] { return stop; },
            .utc_now = [this] { return "day " + std::to_string(++days); },
            .host = "here",
            .cpus_allowed = 2,
            .nodes = [](const Point& point) { return point.ranks / 2 + 1; },
            .allocation = {"node1", "node2"},
            .read_record = read_fake_record,
            .failed =
                [this](const study::Run& run, bool given_up) {
                  failures.push_back({run.seq, given_up});
                }};
  }
  Ending launch(const CommandLine& line, const Store::Places& places, std::optional<double> most_s) {
    started.push_back(line.argv);
    Ending ending{.launch_to_exit_s = 8 / std::stod(line.argv.at(1)), .cpu_s = 3.5};
    if (on_launch) on_launch(line, places, ending);
    ending.overran = most_s && ending.launch_to_exit_s > *most_s;
    return ending;
  }
  Conclusion begin() {
    Store made = Store::create(dir(), plan);
    const Conclusion conclusion = conduct(plan, made, world());
    runs = made.runs();
    return conclusion;
  }
  Conclusion resume() {
    Store again = Store::resume(dir(), plan, read_fake_record);
    const Conclusion conclusion = conduct(plan, again, world());
    runs = again.runs();
    return conclusion;
  }
  std::vector<std::uint64_t> order() const {
    std::vector<std::uint64_t> ranks;
    for (const study::Run& run : runs) ranks.push_back(run.ranks);
    return ranks;
  }

  test::TemporaryFolder folder;
  Plan plan;
  bool stop = false;
  int days = 0;
  std::function<void(const CommandLine&, const Store::Places&, Ending&)> on_launch;
  std::vector<std::vector<std::string>> started;
  std::vector<study::Run> runs;
  std::vector<std::pair<std::uint64_t, bool>> failures;  // as they were told
};

TEST_F(conducted, study_keeps_every_run_with_all_that_was_measured) {
  const Conclusion conclusion = begin();
  EXPECT_FALSE(conclusion.stopped);
  EXPECT_THAT(conclusion.given_up, IsEmpty());
  ASSERT_EQ(runs.size(), 3U * 4);
  for (std::size_t at = 0; at < runs.size(); ++at) {
    const study::Run& run = runs[at];
    EXPECT_EQ(run.seq, at + 1);
    EXPECT_EQ(run.argv, started[at]);
    EXPECT_THAT(run.argv, ElementsAre("run", std::to_string(run.ranks), "./program"));
    EXPECT_EQ(run.launch_to_exit_s, 8.0 / static_cast<double>(run.ranks));
    EXPECT_EQ(time_s(run), run.launch_to_exit_s);
    EXPECT_EQ(run.cpu_s, 3.5);
    EXPECT_EQ(run.cpus_allowed, 0U) << "a template may lead anywhere";
    EXPECT_EQ(run.nodes, run.ranks / 2 + 1);
    EXPECT_EQ(run.warmup, at < 3);
    EXPECT_EQ(run.started_at, "day " + std::to_string(at + 1));
    EXPECT_EQ(run.host, "here");
    EXPECT_THAT(run.allocation, ElementsAre("node1", "node2"));
  }
}

TEST_F(conducted, every_run_is_kept_before_the_next_begins) {
  std::size_t begun = 0;
  on_launch = [&](const CommandLine&, const Store::Places&, Ending&) {
    EXPECT_EQ(read_runs(dir(), read_fake_record).size(), begun++);
  };
  (void)begin();
  EXPECT_EQ(begun, 12U);
}

TEST_F(conducted, record_of_a_program_is_used_for_its_time) {
  on_launch = [](const CommandLine&, const Store::Places& places, Ending&) {
    std::ofstream{places.record} << fake_record(0.125);
  };
  (void)begin();
  for (const study::Run& run : runs) EXPECT_EQ(time_s(run), 0.125);
  EXPECT_EQ(read_runs(dir(), read_fake_record).back().record_json, "{\"s\":0.125}");
}

TEST_F(conducted, record_that_cannot_be_read_or_a_workloads_that_is_missing_is_a_failure) {
  on_launch = [](const CommandLine&, const Store::Places& places, Ending&) { std::ofstream{places.record} << "{}"; };
  EXPECT_EQ(begin().given_up.size(), 3U);
  EXPECT_THAT(runs.front().error, HasSubstr("its record cannot be read: it is no record"));
  on_launch = nullptr;
  plan.command = {"pi"};
  std::filesystem::remove_all(dir());
  EXPECT_EQ(begin().given_up.size(), 3U);
  EXPECT_EQ(runs.front().error, "it left no record");
}

TEST_F(conducted, failing_runs_are_kept_with_their_error_and_named) {
  std::size_t told = 0;
  on_launch = [&](const CommandLine& line, const Store::Places& places, Ending& ending) {
    if (line.argv[1] != "2") return;
    told = failures.size();
    std::ofstream{places.err} << std::string(5000, 'x') << "\nwarning: of no use\nsolver: no such option --pionts\n";
    ending.exit_code = 2;
  };
  const Conclusion conclusion = begin();
  EXPECT_THAT(conclusion.given_up, ElementsAre(1U));
  EXPECT_EQ(runs.size(), 2U + 2 * 4);
  EXPECT_EQ(told, 1U) << "once the second attempt began, the first was told";
  ASSERT_EQ(failures.size(), 2U);
  EXPECT_FALSE(failures[0].second);
  EXPECT_EQ(failures[1], std::pair(failures[0].first + 1, true));
  int failed = 0;
  for (const study::Run& run : runs) {
    if (run.ranks != 2) continue;
    EXPECT_EQ(run.attempt, static_cast<unsigned>(++failed));
    EXPECT_EQ(run.exit_code, 2);
    EXPECT_EQ(run.error, "ended with status 2 (output/000" + std::to_string(run.seq) +
                             ".err): warning: of no use\nsolver: no such option --pionts");
  }
  EXPECT_EQ(failed, 2);
}

TEST_F(conducted, error_is_the_programs_and_not_what_mpirun_adds) {
  const std::string rule = std::string(74, '-') + "\n";
  const std::string chatter = rule + "Primary job  terminated normally, but 1 process returned\n" +
                              "a non-zero exit code. Per user-direction, the job has been aborted.\n" + rule + rule +
                              "mpirun detected that one or more processes exited with non-zero status, thus causing\n" +
                              "the job to be terminated. The first process to do so was:\n\n" +
                              "  Process name: [[14463,1],0]\n  Exit code:    5\n" + rule;
  plan.ranks = {1, 2};
  plan.repeat = 1;
  plan.warmup = 0;
  on_launch = [&](const CommandLine& line, const Store::Places& places, Ending& ending) {
    std::ofstream{places.err} << (line.argv[1] == "1" ? "solver: no mesh\n" : "") << chatter;
    ending.exit_code = 5;
  };
  (void)begin();
  ASSERT_EQ(runs.size(), 4U);
  for (const study::Run& run : runs) {
    if (run.ranks == 1) {
      EXPECT_THAT(run.error, testing::EndsWith(".err): solver: no mesh"));
    } else {
      EXPECT_THAT(run.error, HasSubstr(".err): Primary job  terminated normally")) << "better than nothing";
      EXPECT_THAT(run.error, testing::EndsWith("Exit code:    5"));
      EXPECT_THAT(run.error, testing::Not(HasSubstr("-----")));
    }
  }
}

TEST_F(conducted, signals_and_programs_that_do_not_start_are_failures) {
  on_launch = [](const CommandLine& line, const Store::Places&, Ending& ending) {
    if (line.argv[1] == "1") ending.signal = SIGSEGV;
    if (line.argv[1] == "2") ending.start_error = "cannot start 'run': No such file or directory";
  };
  EXPECT_EQ(begin().given_up.size(), 2U);
  for (const study::Run& run : runs) {
    EXPECT_EQ(run.error, run.ranks == 1   ? "ended by signal 11 (Segmentation fault)"
                         : run.ranks == 2 ? "cannot start 'run': No such file or directory"
                                          : "");
  }
}

TEST_F(conducted, stop_in_a_run_keeps_nothing_of_it_and_resume_does_the_rest) {
  (void)begin();
  const std::vector<std::uint64_t> whole = order();
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    std::filesystem::remove_all(dir());
    started.clear();
    on_launch = [&](const CommandLine&, const Store::Places& places, Ending& ending) {
      std::ofstream{places.out} << "half";
      ending.stopped = started.size() == cut + 1;
    };
    EXPECT_TRUE(begin().stopped);
    EXPECT_EQ(runs.size(), cut);
    on_launch = nullptr;
    EXPECT_FALSE(resume().stopped);
    EXPECT_EQ(order(), whole) << "cut in run " << cut + 1;
    EXPECT_EQ(started.size(), whole.size() + 1) << "only the run that was cut short is repeated";
  }
}

TEST_F(conducted, resume_after_failures_goes_on_where_it_was) {
  plan.repeat = 2;
  int calls = 0;
  int stop_at = 0;
  // The second attempt of rank 1's first measured run succeeds, 2 ranks never do.
  bool failed_once = false;
  const auto fail = [&](const CommandLine& line, const Store::Places&, Ending& ending) {
    ending.stopped = ++calls == stop_at;
    if (ending.stopped) return;
    if (line.argv[1] == "2") ending.exit_code = 1;
    if (line.argv[1] == "1" && calls > 4 && !failed_once) {
      failed_once = true;
      ending.exit_code = 1;
    }
  };
  on_launch = fail;
  (void)begin();
  const std::vector<std::uint64_t> whole = order();
  ASSERT_TRUE(failed_once);
  for (std::size_t cut = 1; cut <= whole.size(); ++cut) {
    std::filesystem::remove_all(dir());
    calls = 0;
    failed_once = false;
    stop_at = static_cast<int>(cut);
    EXPECT_TRUE(begin().stopped);
    const int ended = calls - 1;
    calls = ended;
    stop_at = 0;
    EXPECT_THAT(resume().given_up, ElementsAre(1U));
    EXPECT_EQ(order(), whole) << "cut in run " << cut;
  }
}

TEST_F(conducted, stop_between_runs_begins_none) {
  on_launch = [&](const CommandLine&, const Store::Places&, Ending&) { stop = started.size() == 5; };
  EXPECT_TRUE(begin().stopped);
  EXPECT_EQ(runs.size(), 5U);
  EXPECT_EQ(started.size(), 5U);
}

TEST_F(conducted, run_that_hangs_ends_with_the_budget_and_does_not_count) {
  plan.budget_s = 100;
  on_launch = [&](const CommandLine& line, const Store::Places& places, Ending& ending) {
    std::ofstream{places.out} << "half";
    if (line.argv[1] == "2" && started.size() > 3) ending.launch_to_exit_s = 1e9;
  };
  const Conclusion conclusion = begin();
  EXPECT_TRUE(conclusion.budget_is_spent);
  EXPECT_FALSE(conclusion.stopped);
  EXPECT_EQ(conclusion.overrun, 1U);
  EXPECT_THAT(conclusion.given_up, IsEmpty());
  EXPECT_EQ(runs.size(), started.size() - 1);
  for (const study::Run& run : runs) EXPECT_LT(run.launch_to_exit_s, 100);
  EXPECT_FALSE(std::filesystem::exists(dir() + "/output/000" + std::to_string(started.size()) + ".out"));
}

TEST_F(conducted, study_goes_on_with_another_budget_and_more_repetitions) {
  (void)begin();
  const std::vector<std::uint64_t> whole = order();
  for (std::uint64_t budget_s = 1; budget_s < 60; ++budget_s) {
    std::filesystem::remove_all(dir());
    plan.repeat = 2;
    plan.budget_s = static_cast<double>(budget_s);
    (void)begin();
    plan.budget_s = 1000;
    plan.repeat = 3;
    EXPECT_FALSE(resume().budget_is_spent);
    EXPECT_EQ(order(), whole) << "after a budget of " << budget_s << " s";
    EXPECT_EQ(Store::read_plan(dir()), plan) << "the next one goes on with this";
  }
  // With a smaller one it ends at once, and loses nothing.
  plan.budget_s = 2;
  EXPECT_FALSE(resume().budget_is_spent) << "it had ended before";
  plan.repeat = 4;
  EXPECT_TRUE(resume().budget_is_spent);
  EXPECT_EQ(order(), whole);
}

TEST_F(conducted, study_that_is_complete_runs_nothing_when_resumed) {
  (void)begin();
  started.clear();
  EXPECT_FALSE(resume().stopped);
  EXPECT_THAT(started, IsEmpty());
  EXPECT_EQ(runs.size(), 12U);
}

TEST_F(conducted, runs_of_another_order_are_refused) {
  (void)begin();
  std::filesystem::remove(std::filesystem::path{dir()} / "plan.json");
  plan.seed = 77;
  std::ofstream{dir() + "/plan.json"} << to_json(plan);
  EXPECT_THROW((void)resume(), base::UsageError);
}

}  // namespace
}  // namespace echelon::study
