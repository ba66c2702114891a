#include <algorithm>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <echelon/comm/shared_file.hpp>

#include "support/mpi_session.hpp"
#include "support/shared_folder.hpp"

namespace echelon::comm {
namespace {

namespace fs = std::filesystem;
using test::session;
using test::SharedFolder;
using testing::HasSubstr;
using enum SharedFile::Existing;

constexpr std::size_t piece = 10'000;

std::string content(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

void put(const fs::path& file, const std::string& text) {
  if (session().is_master()) std::ofstream{file} << text;
  session().barrier();
}

char letter(int rank) { return static_cast<char>('a' + rank); }

/// Each rank's part is `length` of its letter.
bool write_own_part(SharedFile& file, std::size_t length = piece) {
  const std::string text(length, letter(session().rank()));
  return file.write_at(static_cast<std::uint64_t>(session().rank()) * length, std::as_bytes(std::span{text}));
}

std::string all_parts(std::size_t length = piece) {
  std::string all;
  for (int rank = 0; rank < session().size(); ++rank) all += std::string(length, letter(rank));
  return all;
}

/// What `act` throws; the test fails where it does not.
template <typename Act>
std::optional<SharedFileError> error_of(Act act) {
  try {
    act();
  } catch (const SharedFileError& e) {
    return e;
  }
  ADD_FAILURE() << "nothing was thrown on rank " << session().rank();
  return std::nullopt;
}

/// No file of this process may grow beyond so many bytes: write() fails with EFBIG instead.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

TEST(shared_file, holds_what_every_rank_has_written) {
  const SharedFolder folder;
  {
    SharedFile file{session(), folder.path() / "x", keep};
    EXPECT_TRUE(write_own_part(file));
    file.finish();
  }
  EXPECT_EQ(folder.count(), 1U);
  EXPECT_EQ(content(folder.path() / "x"), all_parts());
}

TEST(shared_file, has_its_name_only_when_it_is_whole) {
  const SharedFolder folder;
  SharedFile file{session(), folder.path() / "x", keep};
  EXPECT_TRUE(write_own_part(file));
  session().barrier();
  EXPECT_FALSE(fs::exists(folder.path() / "x"));
  EXPECT_TRUE(fs::exists(folder.path() / "x.partial"));
  session().barrier();
  file.finish();
  EXPECT_TRUE(fs::exists(folder.path() / "x"));
  EXPECT_FALSE(fs::exists(folder.path() / "x.partial"));
}

TEST(shared_file, without_finish_nothing_is_left) {
  const SharedFolder folder;
  {
    SharedFile file{session(), folder.path() / "x", keep};
    EXPECT_TRUE(write_own_part(file));
  }
  EXPECT_EQ(folder.count(), 0U);
}

TEST(shared_file, what_a_killed_run_has_left_is_replaced) {
  const SharedFolder folder;
  put(folder.path() / "x.partial", std::string(100 * piece, 'z'));
  {
    SharedFile file{session(), folder.path() / "x", keep};
    EXPECT_TRUE(write_own_part(file));
    file.finish();
  }
  EXPECT_EQ(folder.count(), 1U);
  EXPECT_EQ(content(folder.path() / "x"), all_parts());
}

TEST(shared_file, failure_of_one_rank_is_known_to_all_and_leaves_nothing) {
  constexpr std::size_t large = 100'000;
  for (int victim = 0; victim < session().size(); ++victim) {
    const SharedFolder folder;
    std::optional<SharedFileError> error;
    {
      SharedFile file{session(), folder.path() / "x", keep};
      std::optional<FileSizeLimit> limit;
      const rlim_t end_of_half = large * static_cast<rlim_t>(victim) + large / 2;
      if (session().rank() == victim) limit.emplace(end_of_half);
      EXPECT_EQ(write_own_part(file, large), session().rank() != victim);
      error = error_of([&] { file.finish(); });
    }
    ASSERT_TRUE(error);
    EXPECT_THAT(error->what(), HasSubstr("File too large"));
    if (session().size() > 1) {
      EXPECT_THAT(error->what(), HasSubstr("(rank " + std::to_string(victim) + " on "));
    }
    EXPECT_EQ(error->written(), static_cast<std::uint64_t>(session().size()) * large - large / 2);
    EXPECT_EQ(folder.count(), 0U);
  }
}

TEST(shared_file, after_a_failure_no_more_is_written) {
  const SharedFolder folder;
  SharedFile file{session(), folder.path() / "x", keep};
  {
    const FileSizeLimit limit{1};
    EXPECT_FALSE(file.write_at(piece, std::as_bytes(std::span{"text"})));
  }
  EXPECT_FALSE(write_own_part(file));
  EXPECT_EQ(fs::file_size(folder.path() / "x.partial"), 0U);
  error_of([&] { file.finish(); });
}

TEST(shared_file, failure_leaves_the_file_of_before) {
  const SharedFolder folder;
  put(folder.path() / "x", "before");
  {
    SharedFile file{session(), folder.path() / "x", replace};
    const FileSizeLimit limit{1};
    EXPECT_FALSE(write_own_part(file));
    error_of([&] { file.finish(); });
  }
  EXPECT_EQ(folder.count(), 1U);
  EXPECT_EQ(content(folder.path() / "x"), "before");
}

TEST(shared_file, replaces_a_file_and_keeps_its_permissions) {
  const SharedFolder folder;
  put(folder.path() / "x", "before, and longer than what comes" + std::string(1000 * piece, '.'));
  if (session().is_master()) fs::permissions(folder.path() / "x", fs::perms::owner_read);
  {
    SharedFile file{session(), folder.path() / "x", replace};
    EXPECT_TRUE(write_own_part(file));
    file.finish();
  }
  EXPECT_EQ(folder.count(), 1U);
  EXPECT_EQ(content(folder.path() / "x"), all_parts());
  EXPECT_EQ(fs::status(folder.path() / "x").permissions(), fs::perms::owner_read);
}

TEST(shared_file, file_that_comes_up_meanwhile_is_kept) {
  const SharedFolder folder;
  {
    SharedFile file{session(), folder.path() / "x", keep};
    EXPECT_TRUE(write_own_part(file));
    put(folder.path() / "x", "another's");
    const auto error = error_of([&] { file.finish(); });
    ASSERT_TRUE(error);
    EXPECT_THAT(error->what(), HasSubstr("a file of this name has come up meanwhile"));
  }
  EXPECT_EQ(folder.count(), 1U);
  EXPECT_EQ(content(folder.path() / "x"), "another's");
}

TEST(shared_file, permissions_are_those_that_the_umask_leaves) {
  const SharedFolder folder;
  const mode_t before = umask(027);
  {
    SharedFile file{session(), folder.path() / "x", keep};
    file.finish();
  }
  umask(before);
  EXPECT_EQ(fs::status(folder.path() / "x").permissions(), static_cast<fs::perms>(0640));
}

TEST(shared_file, link_stays_and_its_file_changes) {
  const SharedFolder folder;
  put(folder.path() / "file", "before");
  if (session().is_master()) fs::create_symlink("file", folder.path() / "link");
  session().barrier();
  {
    SharedFile file{session(), folder.path() / "link", replace};
    EXPECT_TRUE(write_own_part(file));
    file.finish();
  }
  EXPECT_EQ(folder.count(), 2U);
  EXPECT_TRUE(fs::is_symlink(folder.path() / "link"));
  EXPECT_EQ(content(folder.path() / "file"), all_parts());
}

TEST(shared_file, of_two_runs_at_a_time_the_second_is_refused) {
  const SharedFolder folder;
  int lock = -1;
  put(folder.path() / "x.partial", "the other's");
  if (session().is_master()) {
    lock = open((folder.path() / "x.partial").c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_EQ(flock(lock, LOCK_EX), 0);
  }
  const auto error = error_of([&] { const SharedFile file(session(), folder.path() / "x", keep); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), HasSubstr("another run is writing it"));
  EXPECT_EQ(folder.count(), 1U);
  EXPECT_EQ(content(folder.path() / "x.partial"), "the other's");
  if (lock >= 0) close(lock);
}

TEST(shared_file, what_cannot_be_opened_is_an_error_on_all_ranks) {
  const SharedFolder folder;
  const auto error = error_of([&] { const SharedFile file(session(), folder.path() / "missing" / "x", keep); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), HasSubstr("No such file or directory"));
  EXPECT_EQ(error->written(), 0U);
  EXPECT_EQ(folder.count(), 0U);
}

// A link of that name would lead what is written to some other file.
TEST(shared_file, partial_file_that_is_a_link_is_not_followed) {
  const SharedFolder folder;
  put(folder.path() / "other", "other");
  if (session().is_master()) fs::create_symlink("other", folder.path() / "x.partial");
  session().barrier();
  error_of([&] { const SharedFile file(session(), folder.path() / "x", keep); });
  EXPECT_EQ(content(folder.path() / "other"), "other");
}

TEST(shared_file, several_can_be_open_one_after_the_other_and_at_once) {
  const SharedFolder folder;
  SharedFile a{session(), folder.path() / "a", keep};
  SharedFile b{session(), folder.path() / "b", keep};
  EXPECT_TRUE(write_own_part(a));
  EXPECT_TRUE(write_own_part(b, 7));
  b.finish();
  a.finish();
  EXPECT_EQ(content(folder.path() / "a"), all_parts());
  EXPECT_EQ(content(folder.path() / "b"), all_parts(7));
}

// MPI's counts are int, so what is beyond 1 GiB goes by another call.
TEST(shared_file, more_than_one_call_of_mpi_may_take_is_written_whole) {
  if (session().size() != 1) GTEST_SKIP() << "one rank is enough";
  const SharedFolder folder;
  constexpr std::size_t length = (std::size_t{1} << 30) + 12345;
  ASSERT_GT(SharedFile::room(folder.path() / "x"), 2 * length) << "this test takes a file of 1 GiB";
  std::vector<std::byte> bytes(length);
  bytes[length - 1] = std::byte{42};
  SharedFile file{session(), folder.path() / "x", keep};
  EXPECT_TRUE(file.write_at(0, bytes));
  EXPECT_EQ(fs::file_size(folder.path() / "x.partial"), length);
  std::ifstream in{folder.path() / "x.partial", std::ios::binary};
  in.seekg(-1, std::ios::end);
  EXPECT_EQ(in.get(), 42);
}

TEST(shared_file, room_counts_what_a_killed_run_has_left) {
  const SharedFolder folder;
  const fs::path path = folder.path() / "x";
  constexpr std::uint64_t left = 50'000'000;
  constexpr std::uint64_t others = 20'000'000;  // may come and go on this disk meanwhile
  const std::uint64_t before = SharedFile::room(path);
  EXPECT_GT(before, left);
  put(path.string() + ".partial", std::string(left, 'x'));
  EXPECT_NEAR(static_cast<double>(SharedFile::room(path)), static_cast<double>(before), others);
  session().barrier();
}

}  // namespace
}  // namespace echelon::comm
