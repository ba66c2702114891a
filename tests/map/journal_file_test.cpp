#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
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
using test::play;
using test::PlayedWork;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::UnorderedElementsAre;

/// What is said where something is refused.
template <typename Call>
std::string refusal(Call call) {
  try {
    call();
  } catch (const UsageError& e) {
    EXPECT_EQ(std::string{e.what()}.find('\n'), std::string::npos);
    return e.what();
  }
  return "it was not refused";
}

class JournalFileTest : public testing::Test {
 protected:
  test::TemporaryFolder folder;
  PlayedWork work{folder.path(), {"echo a", "echo b", "echo c"}, false, false};

  [[nodiscard]] std::string refused(PlayedWork changed, test::PlayOptions options = {}) const {
    return refusal([&] { (void)play(changed, options); });
  }
};

TEST_F(JournalFileTest, what_has_ended_is_not_run_again) {
  work.failing = {"echo b"};
  EXPECT_THAT(play(work, {.resume = Resume::no, .stop_after = 2, .read_ahead = 1}), ElementsAre(0, 1));
  EXPECT_THAT(play(work, {}), ElementsAre(2));
  EXPECT_THAT(play(work, {}), IsEmpty());
  EXPECT_THAT(play(work, {.resume = Resume::failed}), ElementsAre(1));
  work.failing = {};
  EXPECT_THAT(play(work, {.resume = Resume::failed}), ElementsAre(1));
  EXPECT_THAT(play(work, {.resume = Resume::failed}), IsEmpty());
}

TEST_F(JournalFileTest, counts_are_those_of_the_list) {
  work.failing = {"echo b"};
  (void)play(work, {.resume = Resume::no, .stop_after = 2, .read_ahead = 1});
  JournalFile journal{work.journal_options(Resume::unfinished)};
  EXPECT_TRUE(journal.is_resumed());
  EXPECT_FALSE(journal.verified());
  EXPECT_TRUE(journal.list(0, "echo a"));
  EXPECT_TRUE(journal.list(1, "echo b"));
  EXPECT_TRUE(journal.verified());
  EXPECT_FALSE(journal.list(2, "echo c"));
  EXPECT_EQ(journal.counts().listed, 3U);
  EXPECT_EQ(journal.counts().finished_before, 2U);
  EXPECT_EQ(journal.counts().failed_before, 1U);
  EXPECT_THAT(journal.notes(), IsEmpty());
}

TEST_F(JournalFileTest, a_journal_that_is_there_is_refused_without_resume) {
  (void)play(work, {.resume = Resume::no});
  const std::string before = contents(work.journal());
  EXPECT_THAT(refused(work, {.resume = Resume::no}),
              HasSubstr("run.log' is there already; --resume goes on with it, --force replaces it"));
  EXPECT_THAT(refusal([&] { JournalFile::check(work.journal_options(Resume::no)); }), HasSubstr("is there already"));
  EXPECT_EQ(contents(work.journal()), before);
  JournalOptions options = work.journal_options(Resume::no);
  options.force = true;
  JournalFile::check(options);
  EXPECT_EQ(contents(work.journal()), before);
  JournalFile journal{options};
  EXPECT_FALSE(journal.is_resumed());
  EXPECT_FALSE(journal.list(0, "another"));
}

TEST_F(JournalFileTest, resume_without_a_journal_begins_one) {
  JournalFile::check(work.journal_options(Resume::unfinished));
  EXPECT_FALSE(fs::exists(work.journal()));
  EXPECT_THAT(play(work, {}), SizeIs(3));
  EXPECT_THAT(play(work, {}), IsEmpty());
}

TEST_F(JournalFileTest, other_work_is_refused_and_said) {
  (void)play(work, {.resume = Resume::no});
  JournalOptions options = work.journal_options(Resume::unfinished);
  options.work.command = "walk {}";
  EXPECT_THAT(refusal([&] { JournalFile::check(options); }),
              HasSubstr("the command was 'run {}' and is 'walk {}' now"));
  EXPECT_THAT(refusal([&] { JournalFile{options}; }), HasSubstr("the command was 'run {}' and is 'walk {}' now"));
  options = work.journal_options(Resume::unfinished);
  options.work.output_path = work.output();
  EXPECT_THAT(refusal([&] { JournalFile{options}; }), HasSubstr("the output file was none and is '"));
  options = work.journal_options(Resume::unfinished);
  options.work.keep_order = true;
  EXPECT_THAT(refusal([&] { JournalFile{options}; }), HasSubstr("was as tasks end and is that of the list now"));
}

// ---- another list ----

TEST_F(JournalFileTest, a_list_that_has_changed_is_refused_before_anything_is_run) {
  (void)play(work, {.resume = Resume::no, .stop_after = 2});
  const std::string before = contents(work.journal());
  PlayedWork changed = work;
  changed.list = {"echo a", "echo x", "echo c"};
  EXPECT_THAT(refused(changed),
              HasSubstr("task 2 was 'echo b' and is now 'echo x'; give the same list, or --by-content"));
  changed.list = {"echo new", "echo a", "echo b", "echo c"};
  EXPECT_THAT(refused(changed), HasSubstr("task 1 was 'echo a' and is now 'echo new'"));
  changed.list = {"echo b", "echo c"};
  EXPECT_THAT(refused(changed), HasSubstr("task 1 was 'echo a' and is now 'echo b'"));
  changed.list = {"echo c", "echo b", "echo a"};
  EXPECT_THAT(refused(changed), HasSubstr("task 1 was 'echo a' and is now 'echo c'"));
  changed.list = {"echo a", "echo b"};
  EXPECT_THAT(refused(changed), HasSubstr("it has 2 tasks now, and had 3 or more; task 3 was 'echo c'"));
  changed.list = {};
  EXPECT_THAT(refused(changed), HasSubstr("it has 0 tasks now"));
  changed.list = {"echo a", "echo b", std::string(1000, 'y')};
  EXPECT_THAT(refused(changed), HasSubstr("is now '" + std::string(60, 'y') + "'...;"));
  const std::string after = contents(work.journal());
  EXPECT_TRUE(after.starts_with(before));
  EXPECT_THAT(after.substr(before.size()), Not(HasSubstr("\ttask\t")));
  EXPECT_THAT(after.substr(before.size()), Not(HasSubstr("\tdone\t")));
  EXPECT_THAT(play(work, {}), SizeIs(1));
}

TEST_F(JournalFileTest, a_list_that_got_longer_is_gone_on_with) {
  (void)play(work, {.resume = Resume::no});
  work.list.emplace_back("echo d");
  work.list.emplace_back("echo a");
  EXPECT_THAT(play(work, {}), UnorderedElementsAre(3, 4));
  EXPECT_THAT(play(work, {}), IsEmpty());
}

TEST_F(JournalFileTest, a_refused_list_does_not_open_what_has_failed) {
  work.failing = {"echo b"};
  (void)play(work, {.resume = Resume::no});
  PlayedWork changed = work;
  changed.list[2] = "echo x";
  EXPECT_THAT(refused(changed, {.resume = Resume::failed}), HasSubstr("the list has changed"));
  EXPECT_THAT(play(work, {}), IsEmpty());
}

TEST_F(JournalFileTest, what_is_open_again_stays_so_for_plain_resume) {
  work.failing = {"echo a", "echo b"};
  (void)play(work, {.resume = Resume::no});
  EXPECT_THAT(play(work, {.resume = Resume::failed, .stop_after = 1}), SizeIs(1));
  EXPECT_THAT(play(work, {}), SizeIs(1));
}

TEST_F(JournalFileTest, by_content_the_order_is_of_no_matter) {
  (void)play(work, {.resume = Resume::no, .stop_after = 2, .read_ahead = 1});
  work.list = {"echo x", "echo c", "echo b", "echo a", "echo a"};
  EXPECT_THAT(play(work, {.by_content = true, .stop_after = 2, .read_ahead = 1}), ElementsAre(0, 1));
  // and goes on that way without being told again
  work.list = {"echo a", "echo a", "echo a", "echo c", "echo b"};
  EXPECT_THAT(play(work, {}), UnorderedElementsAre(1, 2));
  EXPECT_THAT(play(work, {}), IsEmpty());
  work.list = {"echo a", "echo x"};
  EXPECT_THAT(play(work, {}), IsEmpty());
}

TEST_F(JournalFileTest, by_content_tasks_that_are_alike_are_counted) {
  work.list = {};
  for (int i = 0; i < 50; ++i) work.list.push_back(i % 2 == 0 ? "echo a" : "echo b");
  (void)play(work, {.resume = Resume::no, .by_content = true, .stop_after = 20, .read_ahead = 1});
  std::ranges::sort(work.list);
  EXPECT_THAT(play(work, {}), SizeIs(30));
  work.list.emplace_back("echo a");
  EXPECT_THAT(play(work, {}), SizeIs(1));
}

TEST_F(JournalFileTest, by_content_what_has_failed_is_run_again_where_asked) {
  work.failing = {"echo b"};
  (void)play(work, {.resume = Resume::no});
  std::ranges::reverse(work.list);
  EXPECT_THAT(play(work, {.by_content = true}), IsEmpty());
  work.failing = {};
  EXPECT_THAT(play(work, {.resume = Resume::failed}), ElementsAre(1));
  EXPECT_THAT(play(work, {.resume = Resume::failed}), IsEmpty());
}

// ---- damage ----

/// The tasks that a journal has good endings of, as it was written.
std::set<std::uint64_t> durable(const std::string& text) {
  std::set<std::uint64_t> tasks;
  farm::journal::LineReader reader{[&](const farm::journal::Place&, const farm::journal::Line& line) {
                                     const auto* done = std::get_if<farm::journal::Done>(&line);
                                     if (done != nullptr) tasks.insert(done->ending.task);
                                   },
                                   [](const farm::journal::Place&) {}};
  reader.read(text);
  reader.end();
  return tasks;
}

TEST_F(JournalFileTest, cut_off_at_any_byte_it_is_gone_on_with) {
  work.list = {"echo a", "echo\tb", "echo c", "echo d"};
  (void)play(work, {.resume = Resume::no, .stop_after = 3});
  const std::string whole = contents(work.journal());
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    SCOPED_TRACE(size);
    test::replace(work.journal(), whole.substr(0, size));
    const std::set<std::uint64_t> kept = durable(whole.substr(0, size));
    for (int again = 0; again < 2; ++again) {  // and what was mended stays so
      JournalFile journal{work.journal_options(Resume::unfinished)};
      for (std::uint64_t task = 0; task < work.list.size(); ++task) {
        ASSERT_EQ(journal.list(task, work.list[task]), kept.contains(task));
      }
      if (again == 1) {
        ASSERT_THAT(journal.notes(), IsEmpty());
      }
    }
  }
}

TEST_F(JournalFileTest, any_flipped_bit_costs_one_task_at_most_and_is_said) {
  work.list = {"echo a", "echo\tb", "echo c", "echo d"};
  (void)play(work, {.resume = Resume::no, .stop_after = 3});
  (void)play(work, {.stop_after = 0});
  const std::string whole = contents(work.journal());
  const std::size_t header_bytes = whole.find('\n');
  const std::set<std::uint64_t> done = durable(whole);
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    SCOPED_TRACE(bit);
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    test::replace(work.journal(), flipped);
    if (bit / 8 < header_bytes) {
      const std::string said = refusal([&] { JournalFile{work.journal_options(Resume::unfinished)}; });
      ASSERT_TRUE(said.find("damaged first line") != std::string::npos ||
                  said.find("not a journal") != std::string::npos)
          << said;
      continue;
    }
    JournalFile journal{work.journal_options(Resume::unfinished)};
    std::size_t skipped = 0;
    for (std::uint64_t task = 0; task < work.list.size(); ++task) {
      if (!journal.list(task, work.list[task])) continue;
      ++skipped;
      ASSERT_TRUE(done.contains(task));
    }
    journal.list_ended(work.list.size());
    ASSERT_GE(skipped + 1, done.size());
    if (skipped < done.size()) {
      ASSERT_THAT(journal.notes(), Not(IsEmpty()));
    }
  }
}

TEST_F(JournalFileTest, damage_is_said_with_its_place) {
  (void)play(work, {.resume = Resume::no});
  std::string text = contents(work.journal());
  text[text.find("\tdone\t") + 1] = 'D';
  test::replace(work.journal(), text);
  JournalFile journal{work.journal_options(Resume::unfinished)};
  ASSERT_THAT(journal.notes(), SizeIs(1));
  EXPECT_THAT(journal.notes()[0],
              testing::MatchesRegex("line [0-9]+ of '.*run.log' is damaged \\([0-9]+ bytes from byte "
                                    "[0-9]+ on\\); a task that it was about is run again"));
}

TEST_F(JournalFileTest, a_journal_of_a_later_version_is_refused) {
  test::replace(work.journal(), farm::journal::to_text(farm::journal::OtherVersion{"2"}));
  EXPECT_THAT(refused(work), HasSubstr("is a journal of version 2, and this Echelon knows version 1; use a newer one"));
}

TEST_F(JournalFileTest, what_is_no_journal_is_refused_and_left_alone) {
  for (const std::string text : {"hello", "hello\nworld\n", "\n", "a,b\n1,2\n"}) {
    test::replace(work.journal(), text);
    EXPECT_THAT(refused(work), HasSubstr("is not a journal of echelon map; give another file")) << text;
    EXPECT_EQ(contents(work.journal()), text);
  }
  JournalOptions options = work.journal_options(Resume::unfinished);
  options.path = folder.path();
  EXPECT_THAT(refusal([&] { JournalFile{options}; }), HasSubstr("is a folder; give a file in it"));
  EXPECT_THAT(refusal([&] { JournalFile::check(options); }), HasSubstr("is a folder; give a file in it"));
  options.path = folder.path() / "no" / "run.log";
  EXPECT_THAT(refusal([&] { JournalFile{options}; }), HasSubstr("there is no folder '"));
  EXPECT_THAT(refusal([&] { JournalFile::check(options); }), HasSubstr("there is no folder '"));
  options.path = "/dev/null";
  EXPECT_THAT(refusal([&] { JournalFile{options}; }), HasSubstr("is not a regular file"));
  options.path = "";
  EXPECT_THAT(refusal([&] { JournalFile{options}; }), HasSubstr("it has no name"));
}

// ---- who may write it ----

TEST_F(JournalFileTest, a_journal_in_use_is_refused_by_name) {
  (void)play(work, {.resume = Resume::no, .stop_after = 1});
  const JournalFile journal{work.journal_options(Resume::unfinished)};
  const std::string expected = "is in use by process " + std::to_string(getpid()) + " on ";
  EXPECT_THAT(refusal([&] { JournalFile{work.journal_options(Resume::unfinished)}; }), HasSubstr(expected));
  EXPECT_THAT(refusal([&] { JournalFile::check(work.journal_options(Resume::unfinished)); }), HasSubstr(expected));
  JournalOptions force = work.journal_options(Resume::no);
  force.force = true;
  EXPECT_THAT(refusal([&] { JournalFile{force}; }), HasSubstr(expected));
  EXPECT_TRUE(read_journal(work.journal()).is_in_use);
}

TEST_F(JournalFileTest, a_lock_ends_with_its_run) {
  { const JournalFile journal{work.journal_options(Resume::no)}; }
  EXPECT_FALSE(read_journal(work.journal()).is_in_use);
  JournalFile{work.journal_options(Resume::unfinished)};
}

TEST_F(JournalFileTest, a_file_that_may_not_be_written_is_refused) {
  const fs::path mounted = folder.path() / "disk";
  fs::create_directory(mounted);
  if (mount("echelon_test", mounted.c_str(), "tmpfs", 0, "size=1m") != 0) {
    GTEST_SKIP() << "cannot mount a tmpfs here: " << std::strerror(errno) << "; root may";
  }
  work.folder = mounted;
  (void)play(work, {.resume = Resume::no});
  EXPECT_EQ(mount(nullptr, mounted.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  EXPECT_THAT(refused(work), HasSubstr("cannot be written: Read-only file system; choose another journal"));
  EXPECT_EQ(read_journal(work.journal()).tasks.all().size(), 3U);
  umount2(mounted.c_str(), MNT_DETACH);
}

// ---- a disk that is full ----

/// In a child, whose files cannot grow beyond so many bytes; its exit status.
int with_limited_files(std::uint64_t bytes, const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, bytes};
    setrlimit(RLIMIT_FSIZE, &limit);
    int code = 99;
    try {
      code = body();
    } catch (...) {
    }
    _exit(code);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

TEST_F(JournalFileTest, full_disk_leaves_whole_lines_and_is_said_by_each_later_call) {
  work.list = test::numbered_list(200);
  for (std::uint64_t limit = 1500; limit < 1900; limit += 7) {
    SCOPED_TRACE(limit);
    fs::remove(work.journal());
    const int code = with_limited_files(limit, [&] {
      JournalFile journal{work.journal_options(Resume::no)};
      std::string first;
      for (std::uint64_t task = 0; task < work.list.size(); ++task) {
        try {
          (void)journal.list(task, work.list[task]);
          farm::Ending ending;
          ending.task = task;
          ending.rank = 0;
          journal.ended(ending);
          journal.flush();
        } catch (const std::runtime_error& e) {
          const std::string what = e.what();
          if (what.find("cannot write " + work.journal().string() + ": File too large") == std::string::npos) return 1;
          if (!first.empty() && what != first) return 3;
          if (!first.empty()) {
            try {
              journal.flush();
            } catch (const std::runtime_error&) {
              return 0;
            }
            return 4;
          }
          first = what;
          --task;  // listed already or not: only the next call counts
          try {
            farm::Ending ending;
            journal.ended(ending);
          } catch (const std::runtime_error&) {
            continue;
          }
          return 5;
        } catch (const std::logic_error&) {
          return 0;
        }
      }
      return 6;
    });
    ASSERT_EQ(code, 0);
    const std::string text = contents(work.journal());
    ASSERT_LE(text.size(), limit);
    ASSERT_EQ(text.back(), '\n');
    JournalFile journal{work.journal_options(Resume::unfinished)};
    ASSERT_THAT(journal.notes(), IsEmpty());
  }
}

// ---- many ----

std::uint64_t resident_bytes() {
  std::ifstream status{"/proc/self/statm"};
  std::uint64_t all = 0;
  std::uint64_t resident = 0;
  status >> all >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

// The address sanitizer keeps what is freed.
#ifdef __SANITIZE_ADDRESS__
constexpr bool memory_is_measured = false;
constexpr std::uint64_t many_tasks = 100'000;
#else
constexpr bool memory_is_measured = true;
constexpr std::uint64_t many_tasks = 1'000'000;
#endif

TEST_F(JournalFileTest, a_million_tasks_take_little_memory) {
  constexpr std::uint64_t count = many_tasks;
  const auto line_of = [](std::uint64_t task) { return "simulate --seed " + std::to_string(task); };
  const std::uint64_t before = resident_bytes();
  {
    JournalFile journal{work.journal_options(Resume::no)};
    for (std::uint64_t task = 0; task < count; ++task) {
      ASSERT_FALSE(journal.list(task, line_of(task)));
      farm::Ending ending;
      ending.task = task;
      ending.rank = 0;
      ending.host = "node";
      journal.ended(ending);
    }
    journal.flush();
    if (memory_is_measured) {
      EXPECT_LT(resident_bytes(), before + (std::uint64_t{64} << 20U)) << "a fresh run keeps nothing of its tasks";
    }
  }
  JournalFile journal{work.journal_options(Resume::unfinished)};
  for (std::uint64_t task = 0; task < count; ++task) ASSERT_TRUE(journal.list(task, line_of(task)));
  EXPECT_TRUE(journal.verified());
  if (memory_is_measured) {
    EXPECT_LT(resident_bytes(), before + 32 * count + (std::uint64_t{64} << 20U));
  }
}

}  // namespace
}  // namespace echelon::map
