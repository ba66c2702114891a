#include "map/spool.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "map/file_size_limit.hpp"
#include "map/spooled.hpp"

namespace echelon::map {
namespace {

using std::string_literals::operator""s;
using test::bytes_of;
using test::error_of;
using test::TemporaryPlace;

std::string read(const Spool& spool, std::uint64_t from, std::size_t size) {
  std::vector<std::byte> bytes(size);
  spool.read(from, bytes);
  return std::string{test::text_of(bytes)};
}

TEST(spool, what_is_appended_can_be_read_from_anywhere) {
  const Spool spool;
  EXPECT_EQ(spool.size(), 0U);
  spool.append(bytes_of("abc"));
  spool.append({});
  spool.append(bytes_of("\0\n\xff"s));
  EXPECT_EQ(spool.size(), 6U);
  EXPECT_EQ(read(spool, 0, 6), "abc\0\n\xff"s);
  EXPECT_EQ(read(spool, 2, 2), "c\0"s);
  EXPECT_EQ(read(spool, 6, 0), "");
  spool.append(bytes_of("more"));
  EXPECT_EQ(read(spool, 5, 5), "\xffmore");
  spool.clear();
  EXPECT_EQ(spool.size(), 0U);
  spool.append(bytes_of("new"));
  EXPECT_EQ(read(spool, 0, 3), "new");
}

TEST(spool, has_no_name_and_is_gone_with_its_owner) {
  const TemporaryPlace place;
  {
    const Spool spool;
    spool.append(bytes_of(std::string(100'000, 'x')));
    EXPECT_TRUE(std::filesystem::is_empty(place.path()));
    EXPECT_GE(place.disk_bytes(), 100'000U);
    EXPECT_EQ(fcntl(spool.descriptor(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  }
  EXPECT_EQ(place.disk_bytes(), 0U);
}

TEST(spool, moves_with_what_is_in_it) {
  const TemporaryPlace place;
  Spool first;
  first.append(bytes_of("first"));
  Spool second{std::move(first)};
  EXPECT_EQ(read(second, 0, 5), "first");
  Spool third;
  third.append(bytes_of("third"));
  third = std::move(second);
  EXPECT_EQ(read(third, 0, 5), "first");
}

TEST(spool, goes_where_temporary_files_are_to_go) {
  {
    const TemporaryPlace place{""};
    EXPECT_EQ(temporary_folder(), "/tmp");
  }
  const TemporaryPlace place;
  EXPECT_EQ(temporary_folder(), place.path());
}

TEST(spool, a_place_that_cannot_be_written_is_an_error_with_the_way_out) {
  const TemporaryPlace place{"/nowhere"};
  EXPECT_EQ(error_of([] { Spool{}; }),
            "cannot keep output in '/nowhere'; set TMPDIR to a folder that can be written: No such file or directory");
}

TEST(spool, a_full_place_is_an_error_with_its_name) {
  const TemporaryPlace place;
  const Spool spool;
  const test::FileSizeLimit limit{10'000};
  EXPECT_EQ(error_of([&] { spool.append(bytes_of(std::string(10'001, 'x'))); }),
            "cannot keep output in '" + place.path().string() + "': File too large");
}

TEST(spool, what_is_not_there_is_an_error) {
  const Spool spool;
  spool.append(bytes_of("abc"));
  EXPECT_EQ(error_of([&] { (void)read(spool, 1, 3); }),
            "cannot keep output in '" + temporary_folder() + "': it has become shorter");
}

TEST(write_all, an_error_names_what_and_why) {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  EXPECT_EQ(error_of([&] { write_all(full, bytes_of("x"), "cannot do it"); }), "cannot do it: No space left on device");
  write_all(full, {}, "nothing always can");
  close(full);
  EXPECT_EQ(error_of([&] { write_all(full, bytes_of("x"), "cannot do it"); }), "cannot do it: Bad file descriptor");
}

TEST(write_all, a_reader_who_has_gone_is_an_error) {
  auto* const before = std::signal(SIGPIPE, SIG_IGN);
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  close(ends[0]);
  EXPECT_EQ(error_of<ReaderGone>([&] { write_all(ends[1], bytes_of("x"), "cannot do it"); }),
            "cannot do it: nobody reads it any more");
  close(ends[1]);
  (void)std::signal(SIGPIPE, before);
}

/// Also where a program that shares the pipe or the terminal has set it not to block, as ssh does.
TEST(write_all, a_slow_reader_is_waited_for) {
  for (const int flags : {0, O_NONBLOCK}) {
    std::array<int, 2> ends{};
    ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    ASSERT_EQ(fcntl(ends[1], F_SETFL, flags), 0);
    std::string sent;
    for (int i = 0; sent.size() < 1'000'000; ++i) sent += std::to_string(i) + "\n";
    std::string received;
    std::thread reader{[&] {
      std::vector<char> block(65536);
      usleep(20'000);
      while (const ssize_t count = ::read(ends[0], block.data(), block.size())) {
        received.append(block.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
      }
    }};
    EXPECT_NO_THROW(write_all(ends[1], bytes_of(sent), "cannot do it")) << flags;
    close(ends[1]);
    reader.join();
    EXPECT_TRUE(received == sent) << flags;
    close(ends[0]);
  }
}

}  // namespace
}  // namespace echelon::map
