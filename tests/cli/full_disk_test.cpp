// A disk that is full, and one that another program fills while echelon writes: a small file system in memory.
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

namespace fs = std::filesystem;
using testing::ContainsRegex;
using testing::HasSubstr;

/// A tmpfs of 512 MiB, for as long as it lives.
class SmallDisk : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    mounted_ = mount("echelon_test", folder_.path().c_str(), "tmpfs", 0, "size=512m") == 0;
    if (!mounted_) GTEST_SKIP() << "cannot mount a tmpfs here: " << std::strerror(errno) << "; root may";
  }
  void TearDown() override {
    if (mounted_) umount2(folder_.path().c_str(), MNT_DETACH);
  }

  [[nodiscard]] fs::path path() const { return folder_.path(); }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator{path()}) found.push_back(entry.path().filename());
    return found;
  }
  [[nodiscard]] std::uint64_t used_bytes() const {
    struct statvfs disk {};
    EXPECT_EQ(statvfs(path().c_str(), &disk), 0);
    return std::uint64_t{disk.f_blocks - disk.f_bfree} * disk.f_frsize;
  }
  /// Leaves room for so many bytes more: at once, as a file that takes the room would not.
  void shrink_to(std::uint64_t left) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    std::string size;
    do {  // refused where more was written meanwhile than that
      size = "size=" + std::to_string(used_bytes() + left);
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "the disk cannot be made smaller";
    } while (mount(nullptr, path().c_str(), nullptr, MS_REMOUNT, size.c_str()) != 0);
  }
  [[nodiscard]] static Arguments with_ranks(const Arguments& arguments) {
    return GetParam() == 0 ? arguments : Arguments{"-n", std::to_string(GetParam())} + arguments;
  }

 private:
  TemporaryFolder folder_;
  bool mounted_ = false;
};

TEST_P(SmallDisk, too_little_room_is_said_before_anything_is_written) {
  shrink_to((std::uint64_t{30} << 20) + (100 << 10));
  const Outcome outcome = run_echelon(with_ranks({"fill", "--size", "4e6", "--out", path() / "x.npy"}));
  EXPECT_EQ(outcome.exit_code, 2) << outcome;
  ASSERT_EQ(lines(outcome.err).size(), 1U) << outcome;
  EXPECT_THAT(outcome.err, HasSubstr("takes 30.5 MiB, and 30.1 MiB are free there; give a smaller --size"));
  EXPECT_THAT(names(), testing::IsEmpty());
}

TEST_P(SmallDisk, disk_that_fills_meanwhile_is_one_line_and_leaves_no_file) {
  constexpr std::uint64_t at_once = 0;
  for (const std::uint64_t written : {at_once, std::uint64_t{40} << 20}) {
    for (const std::uint64_t left : {std::uint64_t{1} << 18, (std::uint64_t{5} << 20) + 12288}) {
      SCOPED_TRACE("written: " + std::to_string(written) + ", left: " + std::to_string(left));
      ASSERT_EQ(mount(nullptr, path().c_str(), nullptr, MS_REMOUNT, "size=512m"), 0);
      RunningProgram run{echelon_command(with_ranks({"fill", "--size", "5e7", "--out", path() / "x.npy"})), alone()};
      // Looks without a pause: all is written in a tenth of a second.
      const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{30};
      while (used_bytes() < written || !fs::exists(path() / "x.npy.partial")) {
        ASSERT_LT(std::chrono::steady_clock::now(), end) << "the run has not begun";
      }
      shrink_to(left);
      const Outcome outcome = run.wait();
      EXPECT_EQ(outcome.exit_code, 4) << outcome;
      EXPECT_EQ(outcome.out, "");
      EXPECT_EQ(lines(outcome.err).size(), 1U) << outcome;
      EXPECT_TRUE(
          outcome.err.starts_with("echelon: cannot write " + (path() / "x.npy").string() + ": No space left on device"))
          << outcome.err;
      EXPECT_THAT(outcome.err, ContainsRegex(written == at_once ? ", after [0-9.]+ (bytes|[KM]iB) of 381.5 MiB; there"
                                                                : ", after [0-9.]+ MiB of 381.5 MiB; there"));
      EXPECT_THAT(names(), testing::IsEmpty());
    }
  }
  expect_nothing_left();
}

// 0: without -n
INSTANTIATE_TEST_SUITE_P(ranks, SmallDisk, testing::Values(0, 1, 2),
                         [](const auto& test) { return std::string{"n"}.append(std::to_string(test.param)); });

}  // namespace
}  // namespace echelon::test
