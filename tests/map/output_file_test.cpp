#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <echelon/base/error.hpp>

#include "map/played_run.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::map {
namespace {

namespace fs = std::filesystem;
using base::UsageError;
using test::contents;
using test::expect_output;
using test::numbered_list;
using test::play;
using test::PlayedWork;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

template <typename Error = UsageError, typename Call>
std::string refusal(Call call) {
  try {
    call();
  } catch (const Error& e) {
    return e.what();
  }
  return "it was not refused";
}

/// Both orders.
class OutputFileTest : public testing::TestWithParam<bool> {
 protected:
  static void SetUpTestSuite() {
    // Syncing a disk would take most of the time, and a kill, unlike a power cut, loses nothing that was written.
    if (fs::is_directory("/dev/shm")) setenv("TMPDIR", "/dev/shm", 1);
  }

  test::TemporaryFolder folder;
  PlayedWork work{folder.path(), numbered_list(40), GetParam(), true};

  void clear() const {
    for (const auto& entry : fs::directory_iterator{folder.path()}) fs::remove(entry.path());
  }
};

INSTANTIATE_TEST_SUITE_P(order, OutputFileTest, testing::Bool(),
                         [](const auto& test) { return test.param ? "of_list" : "as_they_come"; });

TEST_P(OutputFileTest, each_output_is_there_once) {
  EXPECT_THAT(play(work, {.resume = Resume::no}), SizeIs(40));
  expect_output(work, "fresh");
  EXPECT_FALSE(fs::exists(work.store()));
  EXPECT_THAT(play(work, {}), IsEmpty());
  expect_output(work, "again");
}

TEST_P(OutputFileTest, without_a_journal_too) {
  work.with_journal = false;
  (void)play(work, {});
  expect_output(work, "fresh");
  EXPECT_FALSE(fs::exists(work.store()));
  const std::string before = contents(work.output());
  EXPECT_THAT(refusal([&] { (void)play(work, {}); }), HasSubstr("is there already; give another name, or --force"));
  EXPECT_THAT(refusal([&] { OutputFile::check(work.output_options(), nullptr); }), HasSubstr("is there already"));
  EXPECT_EQ(contents(work.output()), before);
  OutputOptions force = work.output_options();
  force.force = true;
  OutputFile::check(force, nullptr);
  OutputFile output{force, nullptr};
  (void)output.put(0, "new\n");
  output.finish();
  EXPECT_EQ(contents(work.output()), "new\n");
}

TEST_P(OutputFileTest, a_file_of_others_is_never_touched) {
  test::replace(work.output(), "precious");
  EXPECT_THAT(refusal([&] { (void)play(work, {.resume = Resume::no}); }), HasSubstr("is there already"));
  // that the journal has begun by now does not make it this work's
  EXPECT_THAT(refusal([&] { (void)play(work, {}); }), HasSubstr("is there already, and not of what the journal knows"));
  EXPECT_EQ(contents(work.output()), "precious");
  const JournalOptions journal = work.journal_options(Resume::no);
  EXPECT_THAT(refusal([&] { OutputFile::check(work.output_options(), &journal); }), HasSubstr("is there already"));
}

TEST_P(OutputFileTest, a_file_that_is_gone_or_short_is_refused) {
  (void)play(work, {.resume = Resume::no, .stop_after = 20});
  const fs::path file = work.keep_order ? work.store() : work.output();
  const std::string whole = contents(file);
  test::replace(file, whole.substr(0, whole.size() - 1));
  EXPECT_THAT(refusal([&] { (void)play(work, {}); }), HasSubstr("bytes, and the journal knows of "));
  fs::remove(file);
  EXPECT_THAT(refusal([&] { (void)play(work, {}); }), HasSubstr("is not there, and the journal knows of "));
  test::replace(file, whole + "rest of a run that was killed");
  (void)play(work, {});
  expect_output(work, "brought back");
}

TEST_P(OutputFileTest, what_has_failed_and_runs_again_leaves_nothing_in_the_file) {
  work.failing = {"task-3", "task-17", "task-39"};
  (void)play(work, {.resume = Resume::no});
  expect_output(work, "with failures");
  EXPECT_THAT(play(work, {.resume = Resume::failed, .stop_after = 1}), SizeIs(1));
  EXPECT_THAT(play(work, {.resume = Resume::failed}), SizeIs(3));
  expect_output(work, "failed again");
  work.failing = {};
  EXPECT_THAT(play(work, {.resume = Resume::failed}), SizeIs(3));
  expect_output(work, "mended");
  EXPECT_FALSE(fs::exists(work.store()));
  EXPECT_THAT(play(work, {.resume = Resume::failed}), IsEmpty());
  expect_output(work, "nothing left");
}

TEST_P(OutputFileTest, a_longer_list_adds_to_a_file_that_is_complete) {
  for (const std::size_t count : {60U, 61U, 100U}) {
    (void)play(work, {.stop_after = 45});
    (void)play(work, {});
    expect_output(work, "before");
    work.list = numbered_list(count);
  }
  (void)play(work, {.stop_after = 5, .finish = false});
  (void)play(work, {});
  expect_output(work, "after");
  EXPECT_FALSE(fs::exists(work.store()));
}

TEST_P(OutputFileTest, by_content_finished_tasks_keep_their_output) {
  (void)play(work, {.resume = Resume::no, .stop_after = 20});
  std::ranges::reverse(work.list);
  work.list.insert(work.list.begin() + 5, "another");
  EXPECT_THAT(play(work, {.by_content = true, .stop_after = 10}), SizeIs(10));
  std::rotate(work.list.begin(), work.list.begin() + 13, work.list.end());
  EXPECT_THAT(play(work, {}), SizeIs(11));
  expect_output(work, "reordered");
  EXPECT_FALSE(fs::exists(work.store()));
}

TEST_P(OutputFileTest, by_content_output_of_tasks_that_left_the_list_stays) {
  (void)play(work, {.resume = Resume::no});
  const std::vector<std::string> all = work.list;
  work.list.erase(work.list.begin(), work.list.begin() + 10);
  EXPECT_THAT(play(work, {.by_content = true}), IsEmpty());
  work.list = all;
  EXPECT_THAT(play(work, {}), IsEmpty());
  expect_output(work, "all");
}

/// A run in a process of its own, killed at a moment that nobody chose.
void kill_while_playing(const PlayedWork& work, const test::PlayOptions& options, std::chrono::microseconds after) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    int code = 0;
    try {
      (void)play(work, options);
    } catch (const std::exception& e) {
      std::fprintf(stderr, "in the child: %s\n", e.what());
      code = 1;
    }
    _exit(code);
  }
  std::this_thread::sleep_for(after);
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0) << "status " << status;
}

/// The numbers of tasks that the journal says have ended, unless they are open again.
std::set<std::uint64_t> finished(const PlayedWork& work) {
  std::set<std::uint64_t> found;
  if (!fs::exists(work.journal()) || fs::file_size(work.journal()) == 0) return found;
  const JournalView view = read_journal(work.journal());
  for (std::uint64_t task = 0; task < view.tasks.all().size(); ++task) {
    if (view.tasks.all()[task].is_finished()) found.insert(task);
  }
  return found;
}

#ifdef __SANITIZE_ADDRESS__
constexpr int histories = 15;
constexpr std::size_t every_byte = 5;
#else
constexpr int histories = 60;
constexpr std::size_t every_byte = 1;
#endif

TEST_P(OutputFileTest, killed_at_any_moment_nothing_is_lost_or_twice) {
  std::mt19937_64 random{GetParam() ? 7U : 8U};
  for (int history = 0; history < histories; ++history) {
    SCOPED_TRACE(history);
    clear();
    work.list = numbered_list(150);
    work.failing = {};
    for (int i = 0; i < history % 3; ++i) work.failing.insert("task-" + std::to_string(random() % 150));
    test::PlayOptions options;
    options.on_ended = [](std::uint64_t count) {
      if (count % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds{700});
    };
    for (int run = 0; run < 4; ++run) {
      options.seed = random();
      options.resume = run == 2 ? Resume::failed : Resume::unfinished;
      kill_while_playing(work, options, std::chrono::microseconds{random() % 25'000});
      if (testing::Test::HasFatalFailure()) return;
    }
    const std::set<std::uint64_t> durable = finished(work);
    options = {};
    options.seed = random();
    for (const std::uint64_t task : play(work, options)) ASSERT_FALSE(durable.contains(task)) << task;
    expect_output(work, "after the last run");
    if (HasFatalFailure()) return;
    if (!work.failing.empty()) {
      work.failing = {};
      (void)play(work, {.resume = Resume::failed});
      expect_output(work, "mended");
      if (HasFatalFailure()) return;
    }
    ASSERT_FALSE(fs::exists(work.store()));
  }
}

/// What a power cut may leave: of the journal a part at least as long as what was flushed, of the store all that was
/// synced before that, and more.
TEST_P(OutputFileTest, any_part_of_the_journal_goes_with_the_whole_store) {
  work.list = numbered_list(12);
  (void)play(work, {.resume = Resume::no, .stop_after = 9, .finish = false});
  const std::string journal = contents(work.journal());
  const std::string output = contents(work.output());
  const std::string store = work.keep_order ? contents(work.store()) : "";
  for (std::size_t size = journal.find("\toutput\n") + 8; size <= journal.size(); size += every_byte) {
    SCOPED_TRACE(size);
    test::replace(work.journal(), journal.substr(0, size));
    test::replace(work.output(), output);
    if (work.keep_order) test::replace(work.store(), store);
    (void)play(work, {});
    expect_output(work, "gone on");
    if (HasFatalFailure()) return;
    ASSERT_FALSE(fs::exists(work.store()));
  }
}

TEST_P(OutputFileTest, any_flipped_bit_of_the_journal_leaves_each_output_once) {
  work.list = numbered_list(8);
  const auto try_all = [&](const std::string& what) {
    const std::string journal = contents(work.journal());
    const std::string output = contents(work.output());
    const bool has_store = fs::exists(work.store());
    const std::string store = has_store ? contents(work.store()) : "";
    std::mt19937_64 random{1};
    for (std::size_t byte = journal.find('\n'); byte < journal.size(); byte += every_byte) {
      SCOPED_TRACE(what + ": byte " + std::to_string(byte));
      std::string flipped = journal;
      flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << (random() % 8)));
      test::replace(work.journal(), flipped);
      test::replace(work.output(), output);
      fs::remove(work.store());
      if (has_store) test::replace(work.store(), store);
      (void)play(work, {.stop_after = 1, .finish = false});
      (void)play(work, {});
      expect_output(work, "gone on");
      if (HasFatalFailure()) return;
    }
    test::replace(work.journal(), journal);
    test::replace(work.output(), output);
    fs::remove(work.store());
    if (has_store) test::replace(work.store(), store);
  };
  work.failing = {"task-2"};
  (void)play(work, {.resume = Resume::no, .stop_after = 6, .finish = false});
  try_all("begun");
  work.failing = {};
  (void)play(work, {.resume = Resume::failed});
  expect_output(work, "complete");
  try_all("complete");
  work.list = numbered_list(10);
  (void)play(work, {.stop_after = 1, .finish = false});
  try_all("complete and begun again");
}

TEST_P(OutputFileTest, a_task_whose_line_is_damaged_is_not_skipped_for_another) {
  work.failing = {"task-5"};
  (void)play(work, {.resume = Resume::no});
  work.failing = {};
  (void)play(work, {.resume = Resume::failed});  // and the file is made whole
  std::string journal = contents(work.journal());
  ASSERT_THAT(journal, HasSubstr("\tfolded\t"));
  journal[journal.find("\ttask-7\n") + 6] = '8';
  test::replace(work.journal(), journal);
  EXPECT_THAT(play(work, {}), IsEmpty());
  expect_output(work, "all is there");
  work.list[7] = "task-8";
  EXPECT_THAT(refusal([&] { (void)play(work, {}); }), HasSubstr("one of its first 40 tasks is another"));
}

TEST_P(OutputFileTest, a_run_cut_short_between_any_two_steps_of_renaming_and_folding) {
  // Each state that the steps on the file system go through, made by hand from a run with a void piece.
  work.failing = {"task-5"};
  (void)play(work, {.resume = Resume::no});
  work.failing = {};
  const std::string first_journal = contents(work.journal());
  const std::string first_output = contents(work.output());
  if (!work.keep_order) {
    // the file became the store, and nothing else was done
    fs::rename(work.output(), work.store());
    (void)play(work, {.resume = Resume::failed});
    expect_output(work, "renamed only");
  } else {
    (void)play(work, {.resume = Resume::failed});
  }
  // folded, and FILE.store left over
  const std::string complete = contents(work.output());
  test::replace(work.store(), "left over");
  EXPECT_THAT(play(work, {}), IsEmpty());
  EXPECT_EQ(contents(work.output()), complete);
  EXPECT_FALSE(fs::exists(work.store()));
  // with a beginning that is folded: renamed, and the beginning not copied yet
  work.list = numbered_list(60);
  work.failing = {"task-50", "task-41"};
  (void)play(work, {.seed = 3});
  work.failing = {};
  if (!work.keep_order) {
    fs::rename(work.output(), work.store());
    test::replace(work.output().string() + ".partial", "begun");
  }
  (void)play(work, {.resume = Resume::failed});
  expect_output(work, "second time");
  EXPECT_FALSE(fs::exists(work.store()));
}

TEST_P(OutputFileTest, bytes_come_from_a_pipe_or_a_file_too) {
  const std::string text(300'000, 'x');
  std::array<int, 2> pipe_ends{};
  ASSERT_EQ(pipe(pipe_ends.data()), 0);
  std::thread writer{[&] {
    std::string_view rest = text;
    while (!rest.empty()) {
      const ssize_t count = ::write(pipe_ends[1], rest.data(), rest.size());
      if (count <= 0) break;
      rest.remove_prefix(static_cast<std::size_t>(count));
    }
    close(pipe_ends[1]);
  }};
  test::replace(folder.path() / "in", "0123456789");
  const int in = open((folder.path() / "in").c_str(), O_RDONLY | O_CLOEXEC);
  OutputFile output{work.output_options(), nullptr};
  output.begin(0);
  output.copy(pipe_ends[0], text.size());
  (void)output.end();
  output.begin(1);
  output.copy(in, 4);
  output.copy(in, 3);
  EXPECT_EQ(output.end().size, 7U);
  output.begin(2);
  EXPECT_THAT(refusal<std::runtime_error>([&] { output.copy(in, 4); }), HasSubstr("shorter than it was said to be"));
  (void)output.put(2, "!");
  output.finish();
  writer.join();
  close(in);
  close(pipe_ends[0]);
  EXPECT_EQ(contents(work.output()), text + "0123456!");
}

TEST_P(OutputFileTest, names_that_will_not_do_are_refused) {
  const JournalOptions journal = work.journal_options(Resume::no);
  const auto check = [&](const std::string& path, const JournalOptions* with) {
    return refusal([&] { OutputFile::check({path, work.keep_order, false}, with); });
  };
  EXPECT_THAT(check(folder.path(), nullptr), HasSubstr("is a folder; give a file in it"));
  EXPECT_THAT(check(folder.path() / "no" / "out", nullptr), HasSubstr("there is no folder '"));
  EXPECT_THAT(check("/dev/null", &journal), HasSubstr("is not a regular file"));
}

TEST_P(OutputFileTest, two_runs_cannot_write_one_file) {
  work.with_journal = false;
  const OutputFile output{work.output_options(), nullptr};
  OutputOptions force = work.output_options();
  force.force = true;
  EXPECT_THAT(refusal([&] { const OutputFile other{force, nullptr}; }), HasSubstr("is being written by another run"));
}

TEST_P(OutputFileTest, on_a_full_disk_the_reason_is_said_and_resume_goes_on) {
  const fs::path mounted = folder.path() / "disk";
  fs::create_directory(mounted);
  if (mount("echelon_test", mounted.c_str(), "tmpfs", 0, "size=256k") != 0) {
    GTEST_SKIP() << "cannot mount a tmpfs here: " << std::strerror(errno) << "; root may";
  }
  work.folder = mounted;
  work.list = numbered_list(500);
  std::uint64_t ended = 0;
  test::PlayOptions options{.resume = Resume::no};
  options.on_ended = [&](std::uint64_t count) { ended = count; };
  const std::string what = refusal<std::runtime_error>([&] { (void)play(work, options); });
  EXPECT_THAT(what, HasSubstr("No space left on device"));
  EXPECT_THAT(what, HasSubstr("cannot write "));
  EXPECT_GT(ended, 20U);
  EXPECT_LT(ended, 500U);
  ASSERT_EQ(mount(nullptr, mounted.c_str(), nullptr, MS_REMOUNT, "size=64m"), 0);
  (void)play(work, {});
  expect_output(work, "with more room");
  umount2(mounted.c_str(), MNT_DETACH);
}

}  // namespace
}  // namespace echelon::map
