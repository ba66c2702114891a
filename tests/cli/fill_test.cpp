#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "support/python.hpp"
#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::MatchesRegex;

std::string content(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

std::vector<std::string> names_in(const TemporaryFolder& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator{folder.path()}) names.push_back(entry.path().filename());
  return names;
}

// numpy.load(FILE).view('u8').sum() of 1e6 doubles of seed 0.
constexpr const char* checksum_of_1e6 = "2607208952862336286";

TEST(fill, run_is_shown_like_every_other) {
  const TemporaryFolder folder;
  const Outcome outcome = run_echelon({"fill", "--out", "x.npy", "--threads", "1"}, {.folder = folder.path()});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  expect_only_notes(outcome);
  const std::vector<std::string> shown = lines(outcome.out);
  ASSERT_EQ(shown.size(), 7U) << outcome.out;
  EXPECT_EQ(shown[0], "x.npy: 7.6 MiB   mean 0.5001788021099828   checksum " + std::string{checksum_of_1e6});
  EXPECT_THAT(shown[1], MatchesRegex("1000000 doubles in [0-9.]+ s, [0-9.e]+ doubles/s, [0-9.]+ GB/s   seed 0, "
                                     "[a-z0-9]+, 1 rank x 1 thread"));
  EXPECT_EQ(shown[2], "");
  EXPECT_THAT(shown[3],
              MatchesRegex("rank +host +cpus +blocks +doubles +compute s +communicate s +wait s +cpu % +doubles/s"));
  EXPECT_THAT(shown[4], MatchesRegex(" +0 .* 8  1000000 .*"));
  EXPECT_THAT(names_in(folder), testing::ElementsAre("x.npy"));
}

TEST(fill, quiet_is_the_checksum_alone) {
  const TemporaryFolder folder;
  const Outcome outcome = run_echelon({"fill", "--quiet", "--out", folder.path() / "x.npy"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.out, std::string{checksum_of_1e6} + "\n");
  EXPECT_EQ(outcome.err, "");
}

TEST(fill, bytes_are_the_same_for_every_number_of_ranks) {
  const TemporaryFolder folder;
  const Arguments fill{"fill", "--size", "1e6", "--seed", "7", "--quiet", "--out"};
  const fs::path alone = folder.path() / "alone.npy";
  EXPECT_EQ(run_echelon(fill + Arguments{alone}).exit_code, 0);
  const std::string bytes = content(alone);
  EXPECT_EQ(bytes.size(), 8'000'128U);
  for (const char* ranks : {"1", "2", "3"}) {
    const fs::path file = folder.path() / (std::string{ranks} + ".npy");
    const Outcome outcome = run_echelon(Arguments{"-n", ranks} + fill + Arguments{file});
    EXPECT_EQ(outcome.exit_code, 0) << outcome;
    EXPECT_TRUE(content(file) == bytes) << ranks << " ranks";
  }
  const Outcome outcome = run_mpirun(2, fill + Arguments{folder.path() / "mpirun.npy"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_TRUE(content(folder.path() / "mpirun.npy") == bytes);
}

TEST(fill, numpy_reads_the_numbers_that_it_makes_itself) {
  if (!has_numpy()) GTEST_SKIP() << "NumPy is not installed for " << python();
  const TemporaryFolder folder;
  const std::string compare =
      "import numpy, sys\n"
      "file, seed, size, checksum = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])\n"
      "there = numpy.load(file)\n"
      "made = numpy.random.Generator(numpy.random.Philox(key=seed)).random(size)\n"
      "assert there.dtype == made.dtype and there.shape == made.shape and (there == made).all()\n"
      "assert int(there.view('u8').sum()) == checksum\n"
      "numpy.save(file + '.numpy', made)\n"
      "assert open(file, 'rb').read() == open(file + '.numpy.npy', 'rb').read()\n";
  for (const char* seed : {"0", "18446744073709551615"}) {
    for (const char* size : {"1", "131072", "500001"}) {
      const std::string file = folder.path() / "x.npy";
      const Outcome filled =
          run_echelon({"-n", "2", "fill", "--out", file, "--force", "--quiet", "--seed", seed, "--size", size});
      EXPECT_EQ(filled.exit_code, 0) << filled;
      ASSERT_EQ(lines(filled.out).size(), 1U);
      const Outcome outcome = run_program({python(), "-c", compare, file, seed, size, lines(filled.out).front()});
      EXPECT_EQ(outcome.exit_code, 0) << seed << " " << size << "\n" << outcome;
    }
  }
}

TEST(fill, file_that_is_there_is_replaced_by_force_only) {
  const TemporaryFolder folder;
  folder.write("x.npy", "before");
  const fs::path file = folder.path() / "x.npy";
  const Outcome refused = run_echelon({"fill", "--out", file});
  EXPECT_EQ(refused.exit_code, 2) << refused;
  EXPECT_EQ(content(file), "before");
  EXPECT_EQ(run_echelon({"fill", "--out", file, "--force", "--size", "10"}).exit_code, 0);
  EXPECT_EQ(content(file).size(), 128 + 80U);
}

TEST(fill, file_in_use_by_another_run_is_one_line_whatever_the_ranks) {
  const TemporaryFolder folder;
  const fs::path partial = folder.path() / "x.npy.partial";
  std::optional<RunningProgram> running;
  // On a busy machine it may have ended before it can be stopped: then another one is started.
  while (!fs::exists(partial)) {
    fs::remove(folder.path() / "x.npy");
    running.emplace(echelon_command({"fill", "--out", folder.path() / "x.npy", "--size", "1e7"}), alone());
    ASSERT_TRUE(wait_until([&] { return fs::exists(partial) || fs::exists(folder.path() / "x.npy"); }));
    kill(running->pid(), SIGSTOP);
  }
  RunningProgram& first = *running;
  for (const Arguments& ranks : {Arguments{}, Arguments{"-n", "2"}}) {
    const Outcome second = run_echelon(ranks + Arguments{"fill", "--out", folder.path() / "x.npy"});
    EXPECT_EQ(second.exit_code, 4) << second;
    EXPECT_EQ(lines(second.err).size(), 1U) << second;
    EXPECT_THAT(second.err, HasSubstr("another run is writing it"));
  }
  kill(first.pid(), SIGCONT);
  const Outcome written = first.wait();
  ASSERT_EQ(written.exit_code, 0) << written;
  EXPECT_EQ(fs::file_size(folder.path() / "x.npy"), 80'000'128U);
}

TEST(fill, killed_run_leaves_nothing_that_looks_whole_and_the_next_replaces_it) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "x.npy";
  {
    RunningProgram run{echelon_command({"fill", "--out", file, "--size", "1e7"}), alone()};
    ASSERT_TRUE(wait_until([&] { return fs::exists(file.string() + ".partial"); })) << "it has not begun";
    ASSERT_EQ(kill(run.pid(), SIGKILL), 0);
    EXPECT_EQ(run.wait().signal, SIGKILL);
  }
  EXPECT_THAT(names_in(folder), testing::ElementsAre("x.npy.partial"));
  const Outcome outcome = run_echelon({"fill", "--out", file, "--quiet"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.out, std::string{checksum_of_1e6} + "\n");
  EXPECT_THAT(names_in(folder), testing::ElementsAre("x.npy"));
}

}  // namespace
}  // namespace echelon::test
