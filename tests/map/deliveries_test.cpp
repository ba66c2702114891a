#include "map/deliveries.hpp"

#include <array>
#include <csignal>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <echelon/base/error.hpp>

#include "map/files.hpp"
#include "map/played_run.hpp"
#include "map/spooled.hpp"
#include "support/shell.hpp"

namespace echelon::map {
namespace {

namespace fs = std::filesystem;
using std::string_literals::operator""s;
using test::contents;
using test::error_of;
using test::in_files;
using test::in_memory;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

Listed listed(std::uint64_t number, std::string line = {}) {
  if (line.empty()) line = "run " + std::to_string(number);
  return {.number = number, .line = std::move(line), .values = {std::to_string(number)}, .tag = ""};
}

farm::Ending ending(std::uint64_t task, int exit_code = 0) {
  farm::Ending one;
  one.task = task;
  one.host = "here";
  one.rank = 1;
  one.started_at = 1000;
  one.wall_s = 0.5;
  one.exit_code = exit_code;
  return one;
}

class DeliveriesTest : public testing::Test {
 protected:
  test::TemporaryFolder folder;
  Descriptor out_file{open((folder.path() / "out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)};
  Descriptor err_file{open((folder.path() / "err").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)};
  Options options;
  std::vector<std::string> told;

  DeliveriesTest() {
    options.command = "run {}";
    options.sources = {command::ListSource{{"0", "1", "2"}}};
  }

  [[nodiscard]] Surroundings surroundings() {
    return {.output = out_file.get(),
            .errors = err_file.get(),
            .progress = [](const Progress&) {},
            .stops_asked = [] { return 0U; },
            .tell = [this](const std::string& text) { told.push_back(text); }};
  }
  [[nodiscard]] std::string path(const char* name) const { return folder.path() / name; }
  [[nodiscard]] std::string text(const char* name) const { return contents(folder.path() / name); }

  /// The line of a failure.
  [[nodiscard]] std::string failure(const Listed& task, const farm::Ending& how) {
    Deliveries all{options, surroundings()};
    all.deliver(task, how, in_memory(""));
    EXPECT_THAT(all.failures(), SizeIs(1));
    return all.failures().empty() ? "" : all.failures().front();
  }
};

TEST_F(DeliveriesTest, in_order_a_task_is_done_when_it_is_printed) {
  options.keep_order = true;
  options.joblog = path("log");
  options.journal = path("journal");
  options.sources = {command::ListSource{{"0", "1", "2"}}};
  {
    Deliveries all{options, surroundings()};
    for (std::uint64_t task = 0; task < 3; ++task) EXPECT_FALSE(all.list(task, listed(task).line));
    all.list_ended(3);
    all.deliver(listed(0), ending(0), in_memory("zero\n"));
    all.deliver(listed(2), ending(2), in_memory("two\n"));
    EXPECT_THAT(test::split(text("log")), SizeIs(2)) << "its header, and task 0";
  }  // killed before task 1 had ended
  EXPECT_EQ(text("out"), "zero\n");
  options.resume = Resume::unfinished;
  Deliveries again{options, surroundings()};
  EXPECT_TRUE(again.list(0, listed(0).line));
  EXPECT_FALSE(again.list(1, listed(1).line));
  EXPECT_FALSE(again.list(2, listed(2).line)) << "nobody has seen its output";
}

TEST_F(DeliveriesTest, go_everywhere_that_was_asked_for) {
  options.output = path("file");
  options.results = path("results");
  options.joblog = path("log");
  options.journal = path("journal");
  Deliveries all{options, surroundings()};
  for (std::uint64_t task = 0; task < 2; ++task) EXPECT_FALSE(all.list(task, listed(task).line));
  all.list_ended(2);
  EXPECT_TRUE(all.may_start());
  const std::string large(300'000, 'x');
  all.deliver(listed(1), ending(1), in_memory("out\0one\n"s, "err one\n"));
  all.deliver(listed(0), ending(0, 3), in_files(large, "err zero\n"));
  all.finish();
  EXPECT_EQ(all.counts().succeeded, 1U);
  EXPECT_EQ(all.counts().failed, 1U);
  EXPECT_EQ(all.counts().ended_before, 0U);
  EXPECT_EQ(text("out"), "") << "it goes to the file";
  EXPECT_TRUE(text("file") == "out\0one\n"s + large);
  EXPECT_EQ(text("err"), "err one\nerr zero\n");
  EXPECT_EQ(text("results/1/1/stdout"), "out\0one\n"s);
  EXPECT_TRUE(text("results/1/0/stdout") == large);
  EXPECT_EQ(text("results/1/0/stderr"), "err zero\n");
  EXPECT_EQ(text("results/1/0/seq"), "1");
  const std::vector<std::string> log = test::split(text("log"));
  ASSERT_THAT(log, SizeIs(3));
  EXPECT_THAT(log[0], StartsWith("Seq\t"));
  EXPECT_THAT(log[1], AllOf(StartsWith("2\there\t"), EndsWith("\t0\t0\trun 1")));
  EXPECT_THAT(log[2], AllOf(StartsWith("1\there\t"), EndsWith("\t3\t0\trun 0")));
  EXPECT_THAT(told, IsEmpty());
}

TEST_F(DeliveriesTest, are_in_the_order_of_the_list_where_that_is_asked_for) {
  options.keep_order = true;
  Deliveries all{options, surroundings()};
  all.deliver(listed(2), ending(2), in_memory("2\n", "e2\n"));
  all.deliver(listed(0), ending(0), in_memory("0\n", "e0\n"));
  EXPECT_EQ(text("out"), "0\n");
  all.finish();
  EXPECT_EQ(text("out"), "0\n2\n") << "task 1 never ended";
  EXPECT_EQ(text("err"), "e0\ne2\n");
}

TEST_F(DeliveriesTest, tag_the_lines_of_the_file_and_not_the_results) {
  options.output = path("file");
  options.results = path("results");
  Deliveries all{options, surroundings()};
  all.list_ended(1);
  Listed task = listed(0);
  task.tag = "a b\t";
  all.deliver(task, ending(0), in_memory("1\n2", "e"));
  all.finish();
  EXPECT_EQ(text("file"), "a b\t1\na b\t2");
  EXPECT_EQ(text("err"), "a b\te");
  EXPECT_EQ(text("results/1/0/stdout"), "1\n2");
}

TEST_F(DeliveriesTest, of_a_run_that_goes_on_are_not_made_twice) {
  options.journal = path("journal");
  options.joblog = path("log");
  options.keep_order = true;
  {
    Deliveries first{options, surroundings()};
    for (std::uint64_t task = 0; task < 3; ++task) EXPECT_FALSE(first.list(task, listed(task).line));
    first.list_ended(3);
    first.deliver(listed(1), ending(1), in_memory("1\n"));
    first.deliver(listed(0), ending(0, 1), in_memory("0\n"));
    first.finish();
  }
  EXPECT_EQ(text("out"), "0\n1\n");
  options.resume = Resume::unfinished;
  Deliveries second{options, surroundings()};
  EXPECT_FALSE(second.may_start()) << "the list has not been seen again";
  EXPECT_TRUE(second.list(0, listed(0).line));
  EXPECT_TRUE(second.list(1, listed(1).line));
  EXPECT_FALSE(second.list(2, listed(2).line));
  EXPECT_TRUE(second.may_start());
  second.list_ended(3);
  second.deliver(listed(2), ending(2), in_memory("2\n"));
  second.finish();
  EXPECT_EQ(second.counts().ended_before, 2U);
  EXPECT_EQ(second.counts().succeeded, 2U) << "one of them before";
  EXPECT_EQ(second.counts().failed, 1U) << "it was before";
  EXPECT_EQ(second.counts().failed_before, 1U);
  EXPECT_EQ(text("out"), "0\n1\n2\n");
  EXPECT_THAT(test::split(text("log")), SizeIs(4)) << "one header";
}

TEST_F(DeliveriesTest, without_resuming_begin_the_log_anew) {
  options.joblog = path("log");
  test::replace(path("log"), "of another run\n");
  Deliveries all{options, surroundings()};
  EXPECT_THAT(text("log"), AllOf(StartsWith("Seq\t"), Not(HasSubstr("another"))));
}

TEST_F(DeliveriesTest, say_how_a_task_failed) {
  farm::Ending how = ending(6, 3);
  EXPECT_EQ(failure(listed(6, "./x a"), how), "task 7 ended with status 3 (rank 1 on here): ./x a");
  how.reason = "no such file";
  how.attempts = 3;
  EXPECT_EQ(failure(listed(6, "./x a"), how),
            "task 7 ended with status 3 after 3 attempts (rank 1 on here): ./x a: no such file");
  how = ending(0);
  how.signal = 9;
  EXPECT_EQ(failure(listed(0, "x"), how), "task 1 was killed by signal 9 (rank 1 on here): x");
  how.timed_out = true;
  how.wall_s = 1.23456;
  EXPECT_EQ(failure(listed(0, "x"), how), "task 1 ran longer than its limit, 1.23 s (rank 1 on here): x");
  how = ending(0);
  how.rank = -1;
  how.reason = "3 ranks died over it";
  EXPECT_EQ(failure(listed(0, "x"), how), "task 1 was never finished: x: 3 ranks died over it");
}

TEST_F(DeliveriesTest, shorten_the_command_of_a_failure_to_a_line) {
  EXPECT_THAT(failure(listed(0, "a\nb\tc"), ending(0, 1)), EndsWith(": a b c"));
  EXPECT_THAT(failure(listed(0, std::string(80, 'x')), ending(0, 1)), EndsWith(": " + std::string(80, 'x')));
  EXPECT_THAT(failure(listed(0, std::string(81, 'x')), ending(0, 1)), EndsWith(": " + std::string(77, 'x') + "..."));
}

TEST_F(DeliveriesTest, keep_so_many_failures_and_count_all) {
  Deliveries all{options, surroundings()};
  for (std::uint64_t task = 0; task < 1005; ++task) all.deliver(listed(task), ending(task, 1), in_memory(""));
  EXPECT_EQ(all.counts().failed, 1005U);
  EXPECT_THAT(all.failures(), SizeIs(1000));
}

TEST_F(DeliveriesTest, that_cannot_be_made_are_refused_at_the_start) {
  const auto refused = [&](std::string Options::*member, const std::string& value) {
    Options bad = options;
    bad.*member = value;
    return error_of<base::UsageError>([&] { const Deliveries all{bad, surroundings()}; });
  };
  EXPECT_EQ(refused(&Options::joblog, "/nowhere/log"),
            "--joblog: cannot write '/nowhere/log': No such file or directory");
  EXPECT_THAT(refused(&Options::results, path("out")), HasSubstr("cannot be written: Not a directory"));
  EXPECT_THAT(refused(&Options::journal, "/nowhere/journal"), HasSubstr("/nowhere/journal"));
  EXPECT_THAT(refused(&Options::output, "/nowhere/file"), HasSubstr("/nowhere/file"));
  test::replace(path("file"), "precious");
  EXPECT_THAT(refused(&Options::output, path("file")), HasSubstr("is there already"));
  EXPECT_EQ(text("file"), "precious");
}

TEST_F(DeliveriesTest, that_fail_say_which_and_why) {
  options.joblog = "/dev/full";
  EXPECT_EQ(error_of([&] {
              const Deliveries all{options, surroundings()};
            }),
            "--joblog: cannot write '/dev/full': No space left on device");
  options.joblog.clear();
  out_file.reset(open("/dev/full", O_WRONLY | O_CLOEXEC));
  Deliveries all{options, surroundings()};
  EXPECT_EQ(error_of([&] { all.deliver(listed(0), ending(0), in_memory("x")); }),
            "cannot write standard output: No space left on device");
  EXPECT_EQ(all.counts().succeeded, 0U) << "it was not delivered";
}

TEST_F(DeliveriesTest, to_a_reader_who_has_gone_leave_the_end_in_peace) {
  auto* const before = std::signal(SIGPIPE, SIG_IGN);
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  close(ends[0]);
  out_file.reset(ends[1]);
  options.keep_order = true;
  Deliveries all{options, surroundings()};
  all.deliver(listed(1), ending(1), in_memory("1\n"));
  EXPECT_THROW(all.deliver(listed(0), ending(0), in_memory("0\n")), ReaderGone);
  EXPECT_NO_THROW(all.finish());
  (void)std::signal(SIGPIPE, before);
}

TEST_F(DeliveriesTest, decide_whether_to_halt) {
  options.halt = farm::parse_halt("soon,fail=2");
  Deliveries all{options, surroundings()};
  EXPECT_EQ(all.halt(10), std::nullopt);
  all.deliver(listed(0), ending(0, 1), in_memory(""));
  all.deliver(listed(1), ending(1), in_memory(""));
  EXPECT_EQ(all.halt(10), std::nullopt);
  all.deliver(listed(2), ending(2, 1), in_memory(""));
  EXPECT_EQ(all.halt(10), farm::Halt::When::soon);
}

}  // namespace
}  // namespace echelon::map
