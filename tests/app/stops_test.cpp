// Programs of the library that are asked to stop, as people, schedulers and terminals do.
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;

const std::vector<Arguments> one_rank_and_three{{}, {"-n", "3"}};

class stops : public testing::Test {
 protected:
  ~stops() override { expect_nothing_left(); }

  /// Returns when tasks run.
  RunningProgram& start(const Arguments& ranks, const Arguments& arguments, const RunOptions& more = {}) {
    for (const char* file : {"begun", "started", "ended", "saved", "asked"}) std::filesystem::remove(at(file));
    RunOptions options = alone(more);
    options.folder = folder_.path();
    options.limit = 120s;
    program_.emplace(Arguments{ECHELON_STOPS} + ranks + arguments, options);
    EXPECT_TRUE(wait_until([&] { return std::filesystem::exists(at("begun")); }, 60s));
    return *program_;
  }
  std::filesystem::path at(const char* file) const { return folder_.path() / file; }
  std::vector<std::string> lines_of(const char* file) const {
    std::ostringstream text;
    text << std::ifstream{at(file)}.rdbuf();
    return lines(text.str());
  }
  /// Each task that began has ended, and its result is saved once; not all of them have begun.
  void expect_saved(std::size_t tasks) const {
    const auto started = lines_of("started");
    const auto ended = lines_of("ended");
    EXPECT_LT(started.size(), tasks);
    EXPECT_EQ((std::set<std::string>{started.begin(), started.end()}.size()), started.size());
    EXPECT_EQ(ended.size(), started.size());
    EXPECT_THAT(lines_of("saved"),
                testing::ElementsAre(std::to_string(ended.size()) + " of " + std::to_string(tasks) + ", 0 wrong"));
    EXPECT_THAT(lines_of("asked"), testing::ElementsAre("once"));
  }

  TemporaryFolder folder_;
  std::optional<RunningProgram> program_;
};

TEST_F(stops, a_signal_ends_a_map_with_the_results_that_are_there) {
  for (const Arguments& ranks : one_rank_and_three) {
    for (const auto& [number, name] :
         {std::pair{SIGTERM, "TERM"}, {SIGINT, "INT"}, {SIGHUP, "HUP"}, {SIGUSR1, "USR1"}, {SIGUSR2, "USR2"}}) {
      SCOPED_TRACE(testing::Message{} << ranks.size() << name);
      RunningProgram& running = start(ranks, {"map", "500", "20"});
      EXPECT_EQ(kill(running.pid(), number), 0);
      const Outcome outcome = running.wait();
      EXPECT_EQ(outcome.exit_code, 75) << outcome;
      EXPECT_THAT(outcome.err, MatchesRegex("stopped by " + std::string{name} + ": [0-9]+ of 500 tasks are done\n"));
      expect_saved(500);
    }
  }
}

TEST_F(stops, all_kinds_of_calls) {
  for (const Arguments& ranks : one_rank_and_three) {
    for (const char* mode : {"imap", "imap-unordered"}) {
      SCOPED_TRACE(testing::Message{} << ranks.size() << mode);
      RunningProgram& running = start(ranks, {mode, "500", "20"});
      EXPECT_EQ(kill(running.pid(), SIGTERM), 0);
      const Outcome outcome = running.wait();
      EXPECT_EQ(outcome.exit_code, 75) << outcome;
      expect_saved(500);
    }
    const Outcome async = [&] {
      RunningProgram& running = start(ranks, {"async", "500", "20"});
      EXPECT_EQ(kill(running.pid(), SIGTERM), 0);
      return running.wait();
    }();
    EXPECT_EQ(async.exit_code, 75) << async;
    EXPECT_EQ(lines_of("saved").size(), 1U);
    EXPECT_EQ(lines_of("started").size(), lines_of("ended").size());
  }
}

TEST_F(stops, to_the_whole_group) {
  for (const Arguments& ranks : one_rank_and_three) {
    RunningProgram& running = start(ranks, {"map", "500", "20"});
    EXPECT_EQ(kill(-running.pid(), SIGINT), 0);
    const Outcome outcome = running.wait();
    EXPECT_EQ(outcome.exit_code, 75) << outcome;
    expect_saved(500);
  }
}

TEST_F(stops, to_each_rank_as_batch_systems_send_it) {
  RunningProgram& running = start({"-n", "3"}, {"map", "500", "20"});
  for (const Process& process : descendants(running.pid())) {
    if (variable_of(process.pid, "OMPI_COMM_WORLD_RANK")) kill(process.pid, SIGTERM);
  }
  EXPECT_EQ(kill(running.pid(), SIGTERM), 0);
  const Outcome outcome = running.wait();
  EXPECT_EQ(outcome.exit_code, 75) << outcome;
  expect_saved(500);
}

TEST_F(stops, what_is_not_caught_is_a_line_and_status_75) {
  for (const Arguments& ranks : one_rank_and_three) {
    RunningProgram& running = start(ranks, {"uncaught", "500", "20"});
    EXPECT_EQ(kill(running.pid(), SIGTERM), 0);
    const Outcome outcome = running.wait();
    EXPECT_EQ(outcome.exit_code, 75) << outcome;
    EXPECT_THAT(outcome.err, MatchesRegex("echelon: stopped by TERM: [0-9]+ of 500 tasks are done\n"));
  }
}

TEST_F(stops, a_call_that_is_not_stoppable_goes_on_to_its_end) {
  for (const Arguments& ranks : one_rank_and_three) {
    RunningProgram& running = start(ranks, {"unstoppable", "60", "20"});
    EXPECT_EQ(kill(running.pid(), SIGTERM), 0);
    const Outcome outcome = running.wait();
    EXPECT_EQ(outcome.exit_code, 75) << outcome;
    EXPECT_THAT(lines_of("saved"), testing::ElementsAre("60"));
  }
}

TEST_F(stops, a_body_can_look_for_itself) {
  for (const Arguments& ranks : one_rank_and_three) {
    RunningProgram& polls = start(ranks, {"poll", "0", "0"});
    EXPECT_EQ(kill(polls.pid(), SIGTERM), 0);
    EXPECT_EQ(polls.wait().exit_code, 75);
    EXPECT_THAT(lines_of("saved"), testing::ElementsAre("by poll"));
    RunningProgram& parallel = start(ranks, {"parallel", "0", "0"});
    EXPECT_EQ(kill(parallel.pid(), SIGTERM), 0);
    EXPECT_EQ(parallel.wait().exit_code, 75);
    EXPECT_EQ(lines_of("saved").size(), ranks.empty() ? 1U : 3U);
  }
}

TEST_F(stops, a_second_signal_ends_the_run_at_once) {
  for (const Arguments& ranks : one_rank_and_three) {
    for (const char* mode : {"ignore", "parallel-ignore"}) {
      RunningProgram& running = start(ranks, {mode, "0", "0"});
      EXPECT_EQ(kill(running.pid(), SIGTERM), 0);
      EXPECT_TRUE(running.wait_for_error_text("a second signal ends it at once", 60s));
      EXPECT_EQ(kill(running.pid(), SIGINT), 0);
      const Outcome outcome = running.wait();
      EXPECT_EQ(outcome.signal, SIGINT) << mode << outcome;
      EXPECT_THAT(lines(outcome.err),
                  testing::ElementsAre(HasSubstr("stopping, as TERM asks: what runs has 30 s to end"),
                                       "echelon: a second signal, INT: the run ends at once"))
          << mode;
    }
  }
}

TEST_F(stops, the_end_of_the_grace_ends_the_run) {
  const std::vector<std::pair<Arguments, RunOptions>> ways{{{}, {.environment = {{"ECHELON_GRACE_S", "1.5"}}}},
                                                           {{"-n", "3", "--grace", "1.5"}, {}}};
  for (const auto& [ranks, options] : ways) {
    RunningProgram& running = start(ranks, {"ignore", "0", "0"}, options);
    EXPECT_EQ(kill(running.pid(), SIGUSR1), 0);
    const Outcome outcome = running.wait();
    EXPECT_EQ(outcome.signal, SIGUSR1) << outcome;
    EXPECT_THAT(outcome.err, HasSubstr("echelon: the 1.5 s to stop after USR1 are over; the run ends\n"));
  }
}

TEST_F(stops, a_grace_that_is_no_time_is_refused) {
  const Outcome option = run_program({ECHELON_STOPS, "-n", "3", "--grace", "soon", "poll", "0", "0"}, alone());
  EXPECT_EQ(option.exit_code, 2) << option;
  EXPECT_EQ(option.err, "echelon: --grace: 'soon' is not a time; give seconds, or as in 1.5m, 2h or 1h30m\n");
  const Outcome variable =
      run_program({ECHELON_STOPS, "poll", "0", "0"}, alone({.environment = {{"ECHELON_GRACE_S", "soon"}}}));
  EXPECT_EQ(variable.exit_code, 2) << variable;
}

TEST_F(stops, a_handler_of_the_programs_own_stays) {
  RunningProgram& running = start({}, {"own-handler", "0", "0"});
  EXPECT_EQ(kill(running.pid(), SIGTERM), 0);
  EXPECT_EQ(running.wait().exit_code, 42);
}

// ECHELON_STOP_MOMENTS=N tries so many.
TEST_F(stops, while_ranks_start_and_at_any_other_moment) {
  const char* const number = std::getenv("ECHELON_STOP_MOMENTS");
  const int moments = number == nullptr ? 8 : std::atoi(number);
  std::mt19937 random{number == nullptr ? 20261128 : std::random_device{}()};
  for (int i = 0; i < moments; ++i) {
    for (const char* file : {"begun", "started", "ended", "saved", "asked"}) std::filesystem::remove(at(file));
    RunningProgram running{{ECHELON_STOPS, "-n", "3", "map", "500", "20"},
                           alone({.folder = folder_.path(), .limit = 120s})};
    poll(nullptr, 0, std::uniform_int_distribution<>{0, 500}(random));  // a random moment, not a condition
    kill(running.pid(), SIGTERM);
    const Outcome outcome = running.wait();
    EXPECT_TRUE(outcome.exit_code == 75 || outcome.signal == SIGTERM) << outcome;
    EXPECT_EQ(lines_of("saved").size(), outcome.exit_code == 75 ? 1U : 0U) << outcome;
    EXPECT_EQ(lines_of("started").size(), lines_of("ended").size()) << outcome;
  }
}

TEST_F(stops, twice_while_ranks_start_is_at_once) {
  // Nobody can be asked yet: mpirun is the shell's sleep.
  TemporaryFolder bin;
  std::ofstream{bin.path() / "mpirun"}
      << "#!/bin/sh\n[ \"$1\" != --version ] || exec /usr/bin/mpirun --version\necho ready >&2\nexec sleep 100\n";
  std::filesystem::permissions(bin.path() / "mpirun", std::filesystem::perms::owner_all);
  RunningProgram running{{ECHELON_STOPS, "-n", "3", "map", "500", "20"},
                         alone({.environment = {{"PATH", bin.path().string() + ":/usr/bin:/bin"}}, .limit = 60s})};
  EXPECT_TRUE(running.wait_for_error_text("ready"));
  EXPECT_EQ(kill(running.pid(), SIGINT), 0);
  poll(nullptr, 0, 200);
  EXPECT_EQ(kill(running.pid(), SIGINT), 0);
  const Outcome outcome = running.wait();
  EXPECT_EQ(outcome.signal, SIGINT) << outcome;
}

TEST_F(stops, under_a_launcher_of_ones_own) {
  RunOptions options = as_root_too();
  options.folder = folder_.path();
  options.limit = 120s;
  RunningProgram running{{ECHELON_MPIEXEC, "-n", "3", "--host", "localhost:3", "--bind-to", "none", "--mca", "pml",
                          "ob1", "--mca", "btl", "self,vader", ECHELON_STOPS, "map", "500", "20"},
                         options};
  EXPECT_TRUE(wait_until([&] { return std::filesystem::exists(at("begun")); }, 60s));
  EXPECT_EQ(kill(running.pid(), SIGUSR1), 0);  // which mpirun hands on to all
  const Outcome outcome = running.wait();
  EXPECT_EQ(outcome.exit_code, 75) << outcome;
  expect_saved(500);
}

}  // namespace
}  // namespace echelon::test
