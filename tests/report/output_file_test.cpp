#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/report/output_file.hpp>

#include "support/temporary_folder.hpp"

namespace echelon::report {
namespace {

namespace fs = std::filesystem;
using test::TemporaryFolder;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::string content(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

std::vector<std::string> names_in(const TemporaryFolder& folder) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator{folder.path()}) {
    names.push_back(entry.path().filename());
  }
  return names;
}

std::string refusal(const std::string& path) {
  try {
    check_output(path);
    ADD_FAILURE() << "'" << path << "' was accepted";
    return "";
  } catch (const base::UsageError& e) {
    return e.what();
  }
}

/// Sets the umask, and puts it back.
class Umask {
 public:
  explicit Umask(mode_t mask) : before_{umask(mask)} {}
  ~Umask() { umask(before_); }
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;

 private:
  mode_t before_;
};

TEST(check_output, leaves_no_file_behind) {
  const TemporaryFolder folder;
  EXPECT_NO_THROW(check_output(folder.path() / "new.json"));
  EXPECT_THAT(names_in(folder), IsEmpty());
}

TEST(check_output, does_not_touch_an_existing_file) {
  const TemporaryFolder folder;
  folder.write("old.json", "old");
  const fs::file_time_type time = fs::last_write_time(folder.path() / "old.json");
  EXPECT_NO_THROW(check_output(folder.path() / "old.json"));
  EXPECT_THAT(names_in(folder), ElementsAre("old.json"));
  EXPECT_EQ(content(folder.path() / "old.json"), "old");
  EXPECT_EQ(fs::last_write_time(folder.path() / "old.json"), time);
}

TEST(check_output, standard_output_and_devices_are_accepted) {
  EXPECT_NO_THROW(check_output("-"));
  EXPECT_NO_THROW(check_output("/dev/null"));
}

TEST(check_output, file_without_a_folder_is_in_the_present_one) {
  const TemporaryFolder folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  EXPECT_NO_THROW(check_output("plain.json"));
  EXPECT_NO_THROW(write_output("plain.json", "text"));
  fs::current_path(before);
  EXPECT_EQ(content(folder.path() / "plain.json"), "text");
}

TEST(check_output, what_cannot_be_written_is_refused_with_a_way_out) {
  const TemporaryFolder folder;
  folder.write("file", "");
  const std::string missing = folder.path() / "missing";
  EXPECT_EQ(refusal(missing + "/a.json"),
            "cannot write '" + missing + "/a.json': there is no folder '" + missing + "'; create it first");
  EXPECT_EQ(refusal(folder.path()), "cannot write '" + folder.path().string() + "': it is a folder; give a file in it");
  EXPECT_THAT(refusal(folder.path().string() + "/"), HasSubstr("it is a folder"));
  EXPECT_EQ(refusal(""), "cannot write '': it has no name; give a file name, or - for standard output");
  EXPECT_THAT(refusal(folder.path() / "file" / "a.json"), HasSubstr("there is no folder"));
  EXPECT_THAT(refusal("/proc/a.json"), AllOf(HasSubstr("choose a folder that you may write to"), Not(HasSubstr("\n"))));
  EXPECT_THAT(names_in(folder), ElementsAre("file"));
}

TEST(write_output, makes_the_file) {
  const TemporaryFolder folder;
  write_output(folder.path() / "a.json", std::string_view{"text\0more\n", 10});
  EXPECT_EQ(content(folder.path() / "a.json"), (std::string{"text\0more\n", 10}));
  EXPECT_THAT(names_in(folder), ElementsAre("a.json"));
  write_output(folder.path() / "a.json", "");
  EXPECT_EQ(content(folder.path() / "a.json"), "");
}

// Whoever has the old file open goes on reading the old one: it was replaced, not overwritten.
TEST(write_output, replaces_the_file_as_a_whole) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "a.json";
  folder.write("a.json", "old and longer than the new one");
  fs::create_hard_link(file, folder.path() / "link");
  write_output(file, "new");
  EXPECT_EQ(content(file), "new");
  EXPECT_EQ(content(folder.path() / "link"), "old and longer than the new one");
  EXPECT_EQ(names_in(folder).size(), 2U);
}

TEST(write_output, large_text_is_written_whole) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 500'000; ++i) text += std::to_string(i) + '\n';
  write_output(folder.path() / "large", text);
  EXPECT_TRUE(content(folder.path() / "large") == text);
}

TEST(write_output, permissions_are_those_that_the_umask_leaves) {
  const TemporaryFolder folder;
  for (const mode_t mask : {mode_t{022}, mode_t{077}, mode_t{002}, mode_t{0}}) {
    const Umask set{mask};
    fs::remove(folder.path() / "a.json");
    write_output(folder.path() / "a.json", "text");
    struct stat info {};
    ASSERT_EQ(stat((folder.path() / "a.json").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0666 & ~mask) << std::oct << mask;
    EXPECT_EQ(umask(mask), mask) << "the umask was changed";
  }
}

TEST(write_output, permissions_of_a_file_that_is_replaced_stay) {
  const TemporaryFolder folder;
  folder.write("a.json", "before");
  fs::permissions(folder.path() / "a.json", fs::perms::owner_read);
  write_output(folder.path() / "a.json", "after");
  EXPECT_EQ(content(folder.path() / "a.json"), "after");
  EXPECT_EQ(fs::status(folder.path() / "a.json").permissions(), fs::perms::owner_read);
}

TEST(write_output, link_stays_and_its_file_changes) {
  const TemporaryFolder folder;
  folder.write("file", "before");
  std::filesystem::create_symlink("file", folder.path() / "link");
  write_output(folder.path() / "link", "after");
  EXPECT_TRUE(std::filesystem::is_symlink(folder.path() / "link"));
  EXPECT_FALSE(std::filesystem::is_symlink(folder.path() / "file"));
  EXPECT_EQ(content(folder.path() / "file"), "after");
}

TEST(write_output, full_device_throws_and_says_why) {
  try {
    write_output("/dev/full", "text");
    FAIL();
  } catch (const std::runtime_error& e) {
    EXPECT_STREQ(e.what(), "cannot write /dev/full: No space left on device");
  }
}

TEST(write_output, device_is_written_to_and_stays_one) {
  EXPECT_NO_THROW(write_output("/dev/null", "text"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(write_output, failure_leaves_no_file_behind) {
  const TemporaryFolder folder;
  fs::create_directory(folder.path() / "a.json");
  EXPECT_THROW(write_output(folder.path() / "a.json", "text"), std::runtime_error);
  EXPECT_THAT(names_in(folder), ElementsAre("a.json"));
  EXPECT_THROW(write_output(folder.path() / "missing" / "a.json", "text"), std::runtime_error);
}

}  // namespace
}  // namespace echelon::report
