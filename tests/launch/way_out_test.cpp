#include "launch/way_out.hpp"

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "support/temporary_folder.hpp"

namespace echelon::launch {
namespace {

const LaunchRequest request{.ranks = 10, .program = {}, .if_lost = "start it again"};

TEST(way_out, is_what_the_caller_says) { EXPECT_EQ(way_out(request), "start it again"); }

TEST(way_out, begins_with_a_full_disk_for_temporary_files) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path();
  if (mount("echelon_test", path.c_str(), "tmpfs", 0, "size=1m") != 0) GTEST_SKIP() << "root may mount a disk";
  setenv("TMPDIR", path.c_str(), 1);
  EXPECT_EQ(way_out(request),
            "'" + path + "' is full: make room there, or set TMPDIR to another folder; then start it again");
  EXPECT_EQ(mount(nullptr, path.c_str(), nullptr, MS_REMOUNT, "size=64m,nr_inodes=1"), 0);
  EXPECT_NE(way_out(request).find("is full"), std::string::npos) << "it has no inodes";
  EXPECT_EQ(mount(nullptr, path.c_str(), nullptr, MS_REMOUNT, "size=64m,nr_inodes=100"), 0);
  EXPECT_EQ(way_out(request), "start it again");
  unsetenv("TMPDIR");
  umount2(path.c_str(), MNT_DETACH);
}

TEST(way_out, begins_with_a_limit_of_open_files) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{24, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  EXPECT_EQ(way_out(request), "it may open 24 files only: ulimit -n 120; then start it again");
  setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace echelon::launch
