#include "map/printer.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "map/file_size_limit.hpp"
#include "map/files.hpp"
#include "map/played_run.hpp"
#include "map/spooled.hpp"

namespace echelon::map {
namespace {

using std::string_literals::operator""s;
using test::error_of;
using test::in_files;
using test::in_memory;

/// Files that it prints into.
class PrinterTest : public testing::Test {
 protected:
  test::TemporaryFolder folder;
  test::TemporaryPlace place;
  Descriptor out_file = make("out");
  Descriptor err_file = make("err");

  [[nodiscard]] Printer printer(bool in_order) const {
    return Printer{{.output = out_file.get(), .errors = err_file.get(), .in_order = in_order}};
  }
  [[nodiscard]] std::string out() const { return test::contents(folder.path() / "out"); }
  [[nodiscard]] std::string err() const { return test::contents(folder.path() / "err"); }

 private:
  [[nodiscard]] Descriptor make(const char* name) const {
    return Descriptor{open((folder.path() / name).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)};
  }
};

TEST_F(PrinterTest, prints_tasks_as_they_come) {
  Printer all = printer(false);
  all.print(2, in_memory("two\n", "error two\n"), nullptr);
  EXPECT_EQ(out(), "two\n");
  all.print(0, in_files("zero", "error zero"), nullptr);
  all.skip(1);
  all.print(5, in_memory("\0\xff\n"s), nullptr);
  EXPECT_EQ(out(), "two\nzero\0\xff\n"s);
  EXPECT_EQ(err(), "error two\nerror zero");
  all.finish();
  EXPECT_EQ(out(), "two\nzero\0\xff\n"s);
}

TEST_F(PrinterTest, in_order_lets_the_earliest_pass_at_once) {
  Printer all = printer(true);
  all.print(0, in_memory("a"), nullptr);
  EXPECT_EQ(out(), "a");
  all.print(2, in_memory("c", "C"), nullptr);
  all.print(3, in_memory("d", "D"), nullptr);
  EXPECT_EQ(out() + err(), "a");
  all.print(1, in_memory("b", "B"), nullptr);
  EXPECT_EQ(out(), "abcd");
  EXPECT_EQ(err(), "BCD");
  all.print(4, in_memory("e"), nullptr);
  EXPECT_EQ(out(), "abcde");
}

TEST_F(PrinterTest, in_order_passes_over_tasks_that_print_nothing) {
  Printer all = printer(true);
  all.skip(0);
  all.print(1, in_memory("b"), nullptr);
  EXPECT_EQ(out(), "b");
  all.print(4, in_memory("e"), nullptr);
  all.skip(3);
  all.print(2, in_memory("", ""), nullptr);
  EXPECT_EQ(out(), "be");
  all.skip(6);
  all.print(5, in_memory("f"), nullptr);
  all.print(7, in_memory("h"), nullptr);
  EXPECT_EQ(out(), "befh");
}

TEST_F(PrinterTest, in_order_prints_at_the_end_what_waits_for_tasks_that_never_ended) {
  Printer all = printer(true);
  all.print(3, in_memory("d", "D"), nullptr);
  all.print(1, in_memory("b", "B"), nullptr);
  EXPECT_EQ(out() + err(), "");
  all.finish();
  EXPECT_EQ(out(), "bd");
  EXPECT_EQ(err(), "BD");
  all.finish();
  EXPECT_EQ(out(), "bd");
}

TEST_F(PrinterTest, has_the_same_text_for_every_order_of_ends) {
  const std::vector<std::string> texts{"a", "", "b\n"s, std::string(300'000, 'c'), "\0"s, "e\ne", "f"};
  std::string expected;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (i != 5) expected += texts[i];
  }
  std::mt19937 random{1};
  std::vector<std::uint64_t> order(texts.size());
  std::iota(order.begin(), order.end(), 0);
  for (int round = 0; round < 100; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    ASSERT_EQ(ftruncate(out_file.get(), 0), 0);
    Printer all = printer(true);
    for (const std::uint64_t task : order) {
      if (task == 5) {
        all.skip(task);
      } else {
        all.print(task, task % 2 == 0 ? in_memory(texts[task]) : in_files(texts[task]), nullptr);
      }
    }
    EXPECT_TRUE(out() == expected) << round;
  }
}

TEST_F(PrinterTest, tags_both_streams_whatever_they_wait_for) {
  const std::string tag = "x\t";
  const std::string other_tag = "y\t";
  Printer all = printer(true);
  all.print(1, in_memory("1\n\0part"s, "e1"), &tag);
  all.print(2, in_files("2\n2", ""), &other_tag);
  all.print(0, in_memory("0\n0\n", "e0\n"), &tag);
  EXPECT_EQ(out(), "x\t0\nx\t0\nx\t1\nx\t\0party\t2\ny\t2"s);
  EXPECT_EQ(err(), "x\te0\nx\te1");
}

TEST_F(PrinterTest, tags_a_line_once_where_it_is_longer_than_a_piece) {
  const std::string tag = "x\t";
  const std::string line(700'000, 'l');
  Printer all = printer(false);
  all.print(0, in_files(line + "\n" + line), &tag);
  EXPECT_TRUE(out() == "x\t" + line + "\nx\t" + line);
}

TEST_F(PrinterTest, leaves_out_a_stream_that_goes_elsewhere) {
  for (const bool in_order : {false, true}) {
    ASSERT_EQ(ftruncate(err_file.get(), 0), 0);
    Printer errors{{.output = -1, .errors = err_file.get(), .in_order = in_order}};
    errors.print(1, in_memory("a", "A"), nullptr);
    errors.print(0, in_memory("b", "B"), nullptr);
    errors.finish();
    EXPECT_EQ(out(), "");
    EXPECT_EQ(err(), in_order ? "BA" : "AB");
  }
  Printer none{Printer::Options{}};
  none.print(0, in_memory("a", "A"), nullptr);
  none.finish();
}

TEST_F(PrinterTest, keeps_what_waits_on_disk_and_gives_it_back) {
  const std::string mebibyte(1U << 20U, 'm');
  Printer all = printer(true);
  for (std::uint64_t task = 1; task <= 8; ++task) all.print(task, in_memory(mebibyte), nullptr);
  EXPECT_GE(place.disk_bytes(), 8U << 20U);
  EXPECT_EQ(out(), "");
  all.print(0, in_memory(""), nullptr);
  EXPECT_EQ(out().size(), 8U << 20U);
  EXPECT_EQ(place.disk_bytes(), 0U);
}

/// As with many workers: something always waits.
TEST_F(PrinterTest, gives_the_place_of_what_is_printed_back_while_other_tasks_wait) {
  constexpr std::uint64_t tasks = 400;
  constexpr std::uint64_t at_once = 4;  // that wait
  const auto text_of = [](std::uint64_t task) { return std::string(100'000, static_cast<char>('a' + task % 26)); };
  Printer all = printer(true);
  std::uint64_t most = 0;
  for (std::uint64_t task = 1; task <= at_once; ++task) all.print(task, in_memory(text_of(task)), nullptr);
  for (std::uint64_t task = 0; task < tasks; task += at_once + 1) {
    const std::uint64_t next = task + at_once + 1;
    for (std::uint64_t i = 1; i <= at_once; ++i) all.print(next + i, in_memory(text_of(next + i)), nullptr);
    all.print(task, in_memory(text_of(task)), nullptr);
    most = std::max(most, place.disk_bytes());
  }
  EXPECT_LE(most, 8U << 20U) << "of " << tasks * 100'000;
  all.finish();
  const std::string printed = out();
  std::string expected;
  for (std::uint64_t task = 0; expected.size() < printed.size(); ++task) {
    if (task < tasks || task % (at_once + 1) != 0) expected += text_of(task);
  }
  EXPECT_TRUE(printed == expected);
}

/// The place of the first tasks is used again: what was given back of it then does not count.
TEST_F(PrinterTest, keeps_what_waits_where_others_have_waited_before) {
  const auto text_of = [](std::uint64_t task) { return std::string(100'000, static_cast<char>('a' + task)); };
  Printer all = printer(true);
  const auto print = [&](std::uint64_t task) { all.print(task, in_memory(text_of(task)), nullptr); };
  for (const std::uint64_t task : {1, 2, 3, 0}) print(task);
  for (const std::uint64_t task : {5, 6, 7, 8, 9, 10, 11, 12, 14, 4, 13}) print(task);
  std::string expected;
  for (std::uint64_t task = 0; task < 15; ++task) expected += text_of(task);
  EXPECT_TRUE(out() == expected);
}

TEST_F(PrinterTest, an_error_of_standard_output_says_so) {
  const Descriptor full{open("/dev/full", O_WRONLY | O_CLOEXEC)};
  ASSERT_TRUE(full.is_open());
  const std::string tag = "x\t";
  for (const bool in_order : {false, true}) {
    Printer all{{.output = full.get(), .errors = err_file.get(), .in_order = in_order}};
    EXPECT_NO_THROW(all.print(0, in_memory("", "errors have their own way"), nullptr));
    EXPECT_EQ(error_of([&] { all.print(1, in_memory("a"), &tag); }),
              "cannot write standard output: No space left on device");
    Printer errors{{.output = out_file.get(), .errors = full.get(), .in_order = in_order}};
    EXPECT_EQ(error_of([&] { errors.print(0, in_files("a", "A"), nullptr); }),
              "cannot write standard error: No space left on device");
  }
  Printer late{{.output = full.get(), .errors = -1, .in_order = true}};
  late.print(1, in_memory("a"), nullptr);
  EXPECT_EQ(error_of([&] { late.print(0, in_memory(""), nullptr); }),
            "cannot write standard output: No space left on device");
  Printer last{{.output = full.get(), .errors = -1, .in_order = true}};
  last.print(1, in_memory("a"), nullptr);
  EXPECT_EQ(error_of([&] { last.finish(); }), "cannot write standard output: No space left on device");
}

TEST_F(PrinterTest, a_place_that_is_full_or_not_there_says_so) {
  Printer all = printer(true);
  {
    const test::FileSizeLimit limit{10'000};
    EXPECT_EQ(error_of([&] { all.print(1, in_memory(std::string(20'000, 'x')), nullptr); }),
              "cannot keep output in '" + place.path().string() + "': File too large");
  }
  const test::TemporaryPlace nowhere{"/nowhere"};
  Printer other = printer(true);
  EXPECT_NO_THROW(other.print(0, in_memory("needs no place"), nullptr));
  EXPECT_EQ(error_of([&] { other.print(2, in_memory("a"), nullptr); }),
            "cannot keep output in '/nowhere'; set TMPDIR to a folder that can be written: No such file or directory");
}

}  // namespace
}  // namespace echelon::map
