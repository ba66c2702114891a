// Disks that fill while map runs: a task whose output is not whole has failed, and is run again by --resume.
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cli/map_fixture.hpp"

namespace echelon::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

/// Has `disk` be a file system of its own, in memory: of root, or of a user namespace's root.
class map_disk : public MapTest {
 protected:
  void SetUp() override {
    fs::create_directory(path("disk"));
    mounted_ = mount("echelon_test", path("disk").c_str(), "tmpfs", 0, "size=20m") == 0;
    if (!mounted_) GTEST_SKIP() << "cannot mount a tmpfs here; root may: unshare -rm";
  }
  void TearDown() override {
    if (mounted_) umount2(path("disk").c_str(), MNT_DETACH);
  }
  void resize(const std::string& size) const {
    ASSERT_EQ(mount(nullptr, path("disk").c_str(), nullptr, MS_REMOUNT, ("size=" + size).c_str()), 0);
  }
  [[nodiscard]] RunOptions there(const std::string& input = "") const {
    RunOptions options = here(input);
    options.environment["TMPDIR"] = path("disk");
    options.environment["OMPI_MCA_orte_tmpdir_base"] = "/tmp";  // Open MPI itself needs some MiB
    return options;
  }
  [[nodiscard]] std::string journal() const { return run_echelon({"journal", "j"}, here()).out; }

 private:
  bool mounted_ = false;
};

/// So many numbers, without a look at whether they could be written.
const std::string prints = "perl -e 'for (1..$ARGV[0]) { printf \"%d\\n\", $_ }' ";

TEST_F(map_disk, a_full_one_for_temporary_files_is_a_failure_of_those_whose_output_is_cut) {
  const Arguments work{
      "map", "-j",     "4",      "--journal", "j",      "--results", "r", prints + "{}; echo told {} >&2",
      ":::", "300000", "300001", "300002",    "300003", "2"};
  for (const char* const ranks_a_node : {"0", "1"}) {
    SCOPED_TRACE(ranks_a_node);
    RunOptions options = there();
    if (*ranks_a_node == '1') options.environment["ECHELON_RANKS_A_NODE"] = "1";
    for (const char* const name : {"j", "r"}) fs::remove_all(path(name));
    resize("1m");
    const Outcome first = run_echelon(work, options);
    EXPECT_EQ(first.exit_code, 3) << first;
    EXPECT_THAT(first.err,
                AllOf(HasSubstr("1 task ended well, 4 failed"), HasSubstr("it is run again by --resume"),
                      HasSubstr("cannot keep its output in '" + path("disk").string() + "': No space left on device"),
                      HasSubstr("4 tasks lost what they printed; once there is room, --resume runs those")));
    EXPECT_THAT(journal(), AllOf(HasSubstr("ended     1 good, 0 failed"), HasSubstr("left      4\n")));
    EXPECT_EQ(read("r/1/2/stdout"), "1\n2\n") << "what is little needs no room";
    EXPECT_FALSE(fs::exists(path("r/1/300000/stdout")));
    resize("100m");
    const Outcome second =
        run_echelon(Arguments{work[0], "--resume"} + Arguments(work.begin() + 1, work.end()), options);
    EXPECT_EQ(second.exit_code, 0) << second;
    for (int i = 0; i < 4; ++i) {
      const std::string name = "r/1/" + std::to_string(300'000 + i);
      EXPECT_TRUE(read(name + "/stdout") == numbers(300'000 + i));
      EXPECT_EQ(read(name + "/stderr"), "told " + std::to_string(300'000 + i) + "\n");
    }
    EXPECT_THAT(journal(), HasSubstr("ended     5 good, 0 failed"));
  }
}

TEST_F(map_disk, room_for_the_output_on_its_own_node_is_not_enough) {
  resize("3m");
  RunOptions options = there();
  options.environment["ECHELON_RANKS_A_NODE"] = "1";
  const Arguments work{"-k", "--journal", "j", prints, ":::", "300000", "2"};
  const Outcome first = run_echelon(Arguments{"map", "-j", "1"} + work, options);
  EXPECT_EQ(first.exit_code, 3) << first;
  EXPECT_EQ(first.out, "1\n2\n");
  EXPECT_THAT(first.err, AllOf(HasSubstr("1 task ended well, 1 failed"), HasSubstr("No space left on device")));
  resize("10m");
  const Outcome second = run_echelon(Arguments{"map", "-j", "1", "--resume"} + work, options);
  EXPECT_EQ(second.exit_code, 0) << second;
  EXPECT_TRUE(second.out == numbers(300'000));
}

TEST_F(map_disk, a_command_that_fills_it_takes_no_output_away_unseen) {
  // Three print all the time, one takes all the room, and all of them ask nobody whether that went well.
  const std::string list = "fill\n1\n2\n3\n";
  const std::string command =
      "if test {} = fill; then head -c 100m /dev/zero >disk/junk; touch full; exit 0; fi; "
      "until test -e full; do sleep 0.01; done; " +
      prints + "200000; echo last words >&2; exit 0";
  const Outcome first = run_echelon({"map", "-j", "4", "--journal", "j", "--output", "out", command}, there(list));
  EXPECT_EQ(first.exit_code, 3) << first;
  EXPECT_THAT(first.err, AllOf(HasSubstr("1 task ended well, 3 failed"), HasSubstr("No space left on device")));
  EXPECT_EQ(read("out"), "");
  fs::remove(path("disk/junk"));
  const Outcome second =
      run_echelon({"map", "-j", "4", "--resume", "--journal", "j", "--output", "out", command}, there(list));
  EXPECT_EQ(second.exit_code, 0) << second;
  EXPECT_TRUE(read("out") == numbers(200'000) + numbers(200'000) + numbers(200'000));
}

TEST_F(map_disk, one_without_inodes_and_a_limit_of_file_sizes_are_full_too) {
  ASSERT_EQ(mount(nullptr, path("disk").c_str(), nullptr, MS_REMOUNT, "nr_inodes=300"), 0);
  const std::string takes_all = "if test {} = 1; then while true >disk/junk$i; do i=$((i + 1)); done; fi; ";
  const Outcome inodes = run_echelon(
      {"map", "-j", "1", "-k", takes_all + "test {} = 3 || seq 10000; echo {}", ":::", "1", "2", "3"}, there());
  EXPECT_EQ(inodes.exit_code, 3) << inodes;
  EXPECT_EQ(inodes.out, numbers(10'000) + "1\n3\n");
  EXPECT_THAT(inodes.err, AllOf(HasSubstr("task 2 has lost its output"), HasSubstr("No space left on device")));
  const Outcome limit = run_program({"bash", "-c", "ulimit -f 20000; exec \"$@\"", "bash", ECHELON_PROGRAM, "map", "-j",
                                     "2", "-k", prints, ":::", "2", "4000000"},
                                    here());
  EXPECT_EQ(limit.exit_code, 3) << limit;
  EXPECT_EQ(limit.out, "1\n2\n");
  EXPECT_THAT(limit.err, HasSubstr("/tmp': File too large"));
}

// ---- histories ----

/// One run on a disk of any size, then others with more room, until nothing is left.
class History {
 public:
  explicit History(std::mt19937_64& random) {
    const auto chance = [&](int of) { return static_cast<int>(random() % static_cast<unsigned>(of)); };
    const auto somewhere = [&](const std::string& name) { return chance(2) == 0 ? "disk/" + name : name; };
    size_kib = 16 << chance(10);
    const int count = 3 + chance(40);
    for (int i = 0; i < count; ++i) {
      // Of some KiB mostly, of some MiB now and then.
      bytes.push_back(chance(1024) + 1024 * (chance(4) == 0 ? chance(3000) : chance(40)));
      const int junk_kib = chance(12) == 0 ? chance(8000) : 0;
      lines.push_back(std::to_string(i) + " " + std::to_string(bytes.back()) + " 0.0" + std::to_string(chance(3)) +
                      " " + std::to_string(junk_kib));
    }
    journal = somewhere("j");
    temporary = chance(3) > 0 ? "disk" : "other";
    options = {"--journal", journal};
    if (chance(3) > 0) options = options + Arguments{"--output", output = somewhere("out")};
    if (chance(2) == 0) options = options + Arguments{"--results", results = somewhere("r")};
    if (chance(2) == 0) options = options + Arguments{"--joblog", joblog = somewhere("log")};
    if (chance(3) == 0) options.emplace_back("-k");
    nodes = chance(3) == 0;
  }

  int size_kib = 0;
  std::vector<std::string> lines;  // NUMBER BYTES PAUSE JUNK-KIB
  std::vector<int> bytes;          // of each
  std::string journal;
  std::string output;
  std::string results;
  std::string joblog;
  std::string temporary;
  Arguments options;
  bool nodes = false;
};

// ECHELON_DISK_HISTORIES=100 tries so many, ECHELON_DISK_SEED=N those of an earlier night again.
TEST_F(map_disk, that_fills_at_any_moment_costs_no_output_and_none_is_there_twice) {
  const char* const count = std::getenv("ECHELON_DISK_HISTORIES");
  const int histories = count != nullptr ? std::stoi(count) : 2;
  const char* const seed_text = std::getenv("ECHELON_DISK_SEED");
  const auto seed = seed_text != nullptr ? std::stoul(seed_text) : std::random_device{}();
  // Prints lines that say whose they are, and puts junk onto the disk for a while; looks at nothing.
  write("work",
        "set -- $1; printf '%s\\n' $1 >>ran; test $4 = 0 || head -c ${4}k /dev/zero >disk/junk$1 2>/dev/null\n"
        "perl -e '$pad = \"x\" x 200; $l = 0; while ($l < $ARGV[1]) { $s = \"$ARGV[0]:$l:$pad\\n\"; print $s; $l += "
        "length $s }' $1 $2\n"
        "sleep $3; rm -f disk/junk$1; exit 0\n");
  const auto output_of = [](int number, int bytes) {
    static const std::string padding(200, 'x');
    std::string text;
    while (static_cast<int>(text.size()) < bytes)
      text += std::to_string(number) + ":" + std::to_string(text.size()) + ":" + padding + "\n";
    return text;
  };
  int cut_short = 0;
  for (int history = 0; history < histories; ++history) {
    const auto this_seed = seed + static_cast<unsigned long>(history);
    SCOPED_TRACE("ECHELON_DISK_SEED=" + std::to_string(this_seed) + " ECHELON_DISK_HISTORIES=1");
    std::mt19937_64 random{this_seed};
    const History one{random};
    for (const char* const name : {"j", "out", "out.store", "r", "log", "other", "ran"}) {
      fs::remove_all(path(name));
      fs::remove_all(path(std::string{"disk/"} + name));
    }
    fs::create_directory(path("other"));
    resize(std::to_string(one.size_kib) + "k");
    std::string list;
    for (const std::string& line : one.lines) list += line + "\n";
    RunOptions options = here(list);
    options.environment["TMPDIR"] = path(one.temporary);
    options.environment["OMPI_MCA_orte_tmpdir_base"] = "/tmp";
    if (one.nodes) options.environment["ECHELON_RANKS_A_NODE"] = "1";
    const Arguments command{"sh work"};
    const Arguments map{"map", "-j", "3", "--quiet"};
    const Outcome first = run_echelon(map + one.options + command, options);
    EXPECT_THAT(first.exit_code, testing::AnyOf(0, 2, 3, 4)) << first;
    if (first.exit_code == 2 || first.exit_code == 4) {  // 2: it had no room to begin
      EXPECT_THAT(first.err, HasSubstr("No space left"));
    }
    cut_short += first.exit_code != 0 ? 1 : 0;
    resize("400m");
    const std::size_t ran_before = lines(read("ran")).size();
    const Outcome known = run_echelon({"journal", one.journal, "--joblog", "-"}, options);
    const auto good = known.exit_code == 0 ? tasks_of_joblog(known.out) : std::map<int, int>{};
    const auto has_result = [&](std::size_t task) {
      return one.results.empty() || read(one.results + "/1/" + one.lines[task] + "/stdout") ==
                                        output_of(static_cast<int>(task), one.bytes[task]);
    };
    for (const auto& [task, times] : good) {
      EXPECT_TRUE(has_result(static_cast<std::size_t>(task - 1))) << "task " << task << " is called good";
    }
    const Outcome last = run_echelon(map + Arguments{"--resume"} + one.options + command, options);
    EXPECT_EQ(last.exit_code, 0) << last << first;
    const std::vector<std::string> ran = lines(read("ran"));
    for (std::size_t i = ran_before; i < ran.size(); ++i) EXPECT_FALSE(good.contains(std::stoi(ran[i]) + 1)) << ran[i];
    std::map<int, std::string> printed;
    for (const std::string& line : lines(one.output.empty() ? "" : read(one.output)))
      printed[std::stoi(line)] += line + "\n";
    for (std::size_t i = 0; i < one.bytes.size(); ++i) {
      const std::string expected = output_of(static_cast<int>(i), one.bytes[i]);
      EXPECT_TRUE(one.output.empty() || printed[static_cast<int>(i)] == expected) << "task " << i + 1;
      EXPECT_TRUE(has_result(i)) << "task " << i + 1;
    }
    if (!one.joblog.empty()) {
      const auto logged = tasks_of_joblog(read(one.joblog));
      EXPECT_EQ(logged.size(), one.bytes.size());
      for (const auto& [task, times] : logged) EXPECT_EQ(times, 1) << "task " << task;
    }
    if (HasFailure()) break;
  }
  RecordProperty("cut_short", cut_short);
  std::printf("%d of %d histories were cut short by the disk\n", cut_short, histories);
}

}  // namespace
}  // namespace echelon::test
