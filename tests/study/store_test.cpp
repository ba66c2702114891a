// The folder of a study: what is there after anything.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/study/store.hpp>

#include "study/fake_record.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::study {
namespace {

namespace fs = std::filesystem;
using test::fake_record;
using test::read_fake_record;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Plan plan() {
  Plan plan;
  plan.ranks = {1, 2};
  plan.command = {"pi"};
  return plan;
}

Run run(std::uint64_t ranks, double time_s) {
  return {.block = 2,
          .ranks = ranks,
          .started_at = "2026-11-21T16:00:00Z",
          .argv = {"a b", "\xff\"", ""},
          .launch_to_exit_s = 2 * time_s,
          .cpu_s = 0.25,
          .host = "here",
          .cpus_allowed = 3,
          .record_json = fake_record(time_s),
          .record = read_fake_record(fake_record(time_s))};
}

class store : public testing::Test {
 protected:
  std::string dir() const { return (folder.path() / "study").string(); }
  fs::path file(const std::string& name) const { return folder.path() / "study" / name; }
  std::string text_of(const std::string& name) const {
    std::ifstream in{file(name)};
    return {std::istreambuf_iterator<char>{in}, {}};
  }
  void write(const std::string& name, const std::string& text) const { folder.write("study/" + name, text); }
  Store resume() const { return Store::resume(dir(), plan(), read_fake_record); }
  std::string refusal(const std::function<void()>& what) const {
    try {
      what();
    } catch (const base::UsageError& e) {
      return e.what();
    }
    return "(not refused)";
  }
  std::string refused_resume() const {
    return refusal([this] { (void)resume(); });
  }
  void make_runs(int count) const {
    Store made = Store::create(dir(), plan());
    for (int i = 1; i <= count; ++i) {
      (void)made.begin_run();
      made.add(run(1, i));
    }
  }

  test::TemporaryFolder folder;
};

TEST_F(store, runs_are_there_again) {
  {
    Store made = Store::create(dir(), plan());
    EXPECT_THAT(made.runs(), IsEmpty());
    made.add(run(1, 1.5));
    study::Run failed = run(2, 0.5);
    failed.error = "ended with status 3: no such option";
    failed.exit_code = 3;
    failed.attempt = 2;
    failed.warmup = true;
    failed.cpu_s.reset();
    failed.allocation = {"node1", "node2"};
    failed.record_json.clear();
    failed.record.reset();
    made.add(failed);
  }
  const Store again = resume();
  EXPECT_THAT(again.notes(), IsEmpty());
  ASSERT_EQ(again.runs().size(), 2U);
  const study::Run& first = again.runs()[0];
  EXPECT_EQ(first.seq, 1U);
  EXPECT_EQ(first.block, 2U);
  EXPECT_EQ(first.started_at, "2026-11-21T16:00:00Z");
  EXPECT_EQ(first.argv.size(), 3U);
  EXPECT_EQ(first.argv[0], "a b");
  EXPECT_EQ(first.launch_to_exit_s, 3);
  EXPECT_EQ(first.cpu_s, 0.25);
  EXPECT_EQ(first.cpus_allowed, 3U);
  EXPECT_EQ(time_s(first), 1.5);
  EXPECT_TRUE(first.succeeded());
  const study::Run& second = again.runs()[1];
  EXPECT_EQ(second.seq, 2U);
  EXPECT_EQ(second.error, "ended with status 3: no such option");
  EXPECT_EQ(second.exit_code, 3);
  EXPECT_EQ(second.attempt, 2U);
  EXPECT_TRUE(second.warmup);
  EXPECT_FALSE(second.cpu_s);
  EXPECT_FALSE(second.succeeded());
  EXPECT_THAT(second.allocation, ElementsAre("node1", "node2"));
  EXPECT_THAT(first.allocation, IsEmpty());
  EXPECT_THAT(text_of("runs/0001.json"), testing::Not(HasSubstr("allocation"))) << "as runs of before have none";
  EXPECT_EQ(Store::read_plan(dir()), plan());
}

TEST_F(store, run_that_was_cut_short_leaves_nothing_and_is_run_again) {
  make_runs(2);
  write("runs/0003.json.tmp", "{\"schema\": \"ech");
  write("output/0003.out", "half");
  write("record.json", "{");
  Store again = resume();
  EXPECT_EQ(again.runs().size(), 2U);
  EXPECT_FALSE(fs::exists(file("runs/0003.json.tmp")));
  const Store::Places places = again.begin_run();
  EXPECT_FALSE(fs::exists(places.record)) << "another run's";
  EXPECT_FALSE(fs::exists(places.out));
  again.add(run(1, 3));
  EXPECT_TRUE(fs::exists(file("runs/0003.json")));
}

TEST_F(store, what_a_run_printed_is_kept_but_not_as_empty_files) {
  Store made = Store::create(dir(), plan());
  const Store::Places places = made.begin_run();
  std::ofstream{places.out} << "3.14\n";
  std::ofstream{places.err} << "";
  made.add(run(1, 1));
  EXPECT_EQ(text_of("output/0001.out"), "3.14\n");
  EXPECT_FALSE(fs::exists(file("output/0001.err")));
}

TEST_F(store, damaged_missing_and_foreign_files_are_named) {
  make_runs(3);
  const std::string whole = text_of("runs/0002.json");
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, whole.size() / 2, whole.size() - 3}) {
    write("runs/0002.json", whole.substr(0, size));
    EXPECT_THAT(refused_resume(), HasSubstr("0002.json' cannot be used")) << size;
  }
  write("runs/0002.json", text_of("runs/0001.json"));
  EXPECT_THAT(refused_resume(), HasSubstr("its seq is not that of its name"));
  std::string newer = whole;
  newer.replace(newer.find("echelon.run/1"), 13, "echelon.run/9");
  write("runs/0002.json", newer);
  EXPECT_THAT(refused_resume(), HasSubstr("echelon.run/9"));
  fs::remove(file("runs/0002.json"));
  EXPECT_THAT(refused_resume(), HasSubstr("0002.json' is missing"));
  write("runs/0002.json", whole);
  write("runs/notes.txt", "mine");
  EXPECT_THAT(resume().notes(), ElementsAre(HasSubstr("notes.txt' is none of the study's files")));
  EXPECT_EQ(text_of("runs/notes.txt"), "mine");
}

TEST_F(store, plan_that_changed_is_refused_with_the_difference) {
  make_runs(1);
  Plan other = plan();
  other.ranks = {1, 2, 4};
  EXPECT_THAT(refusal([&] { (void)Store::resume(dir(), other, read_fake_record); }),
              HasSubstr("ranks (1,2 before, 1,2,4 now)"));
  write("plan.json", "{");
  EXPECT_THAT(refused_resume(), HasSubstr("plan.json' is not the plan of a study"));
}

TEST_F(store, folder_is_for_one_study_and_one_process) {
  EXPECT_THAT(refused_resume(), HasSubstr("has no study"));
  {
    const Store made = Store::create(dir(), plan());
    EXPECT_THAT(refused_resume(), HasSubstr("another study is at work"));
    EXPECT_THAT(refusal([&] { (void)Store::create(dir(), plan()); }), HasSubstr("another study is at work"));
  }
  EXPECT_THAT(refusal([&] { (void)Store::create(dir(), plan()); }), HasSubstr("has a study already"));
  EXPECT_EQ(refused_resume(), "(not refused)");
  folder.write("file", "");
  EXPECT_THAT(refusal([&] { (void)Store::create((folder.path() / "file").string(), plan()); }),
              HasSubstr("--out: cannot make"));
}

// What is not on the disk in time is lost: a process that is killed right after add() has lost nothing.
TEST_F(store, run_is_kept_when_add_returns) {
  const pid_t child = fork();
  if (child == 0) {
    Store made = Store::create(dir(), plan());
    made.add(run(1, 1));
    made.add(run(2, 2));
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(resume().runs().size(), 2U);
}

// A file that has its name is whole, whenever its writer was killed.
TEST_F(store, killed_while_it_writes_it_leaves_whole_runs_only) {
  std::size_t kept = 0;
  (void)Store::create(dir(), plan());
  for (int round = 0; round < 30; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      Store again = resume();
      study::Run long_one = run(1, 1);
      long_one.error = std::string(200'000, 'x');
      for (;;) again.add(long_one);
    }
    usleep(static_cast<useconds_t>(5000 + 1009 * round));
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(refused_resume(), "(not refused)");
    const std::size_t now = resume().runs().size();
    EXPECT_GE(now, kept);
    kept = now;
  }
  EXPECT_GT(kept, 0U);
}

TEST_F(store, full_disk_is_an_error_and_not_a_run) {
  Store made = Store::create(dir(), plan());
  fs::remove_all(file("runs"));
  EXPECT_THROW(made.add(run(1, 1)), std::runtime_error);
  EXPECT_THAT(made.runs(), IsEmpty());
}

TEST(study_points, have_the_measured_runs_and_count_the_failed_ones) {
  Plan two = plan();
  std::vector<study::Run> runs{run(1, 4), run(2, 2), run(2, 1), run(2, 3), run(1, 9)};
  runs[3].error = "failed";
  runs[4].warmup = true;
  for (std::size_t at = 0; at < runs.size(); ++at) runs[at].seq = at + 1;
  runs[1].record->context.cpus_allowed = 5;
  runs[2].record.reset();
  const auto points = study_points(two, runs);
  ASSERT_EQ(points.size(), 2U);
  ASSERT_EQ(points[0].runs.size(), 1U);
  EXPECT_EQ(points[0].runs[0].time_s, 4);
  EXPECT_EQ(points[0].runs[0].elapsed_s, 8);
  EXPECT_EQ(points[0].runs[0].cpu_s, 0.25);
  EXPECT_FALSE(points[0].startup_counted);
  ASSERT_EQ(points[1].runs.size(), 2U);
  EXPECT_EQ(points[1].runs[1].time_s, 2) << "from launch to exit";
  EXPECT_EQ(points[1].runs[1].sequence, 3U);
  EXPECT_TRUE(points[1].startup_counted);
  EXPECT_EQ(points[1].cpus_allowed, 3U) << "in the run that had the fewest";
  EXPECT_EQ(points[1].failures, 1U);
}

}  // namespace
}  // namespace echelon::study
