#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/comm/shared_file.hpp>
#include <echelon/numeric/exact_sum.hpp>
#include <echelon/numeric/uniform.hpp>
#include <echelon/workloads/fill.hpp>
#include <echelon/workloads/npy.hpp>

#include "support/mpi_session.hpp"
#include "support/shared_folder.hpp"

namespace echelon::workloads {
namespace {

using measure::Record;
using test::session;
using test::SharedFolder;

constexpr std::uint64_t block = std::uint64_t{1} << 17;

/// Collective.
Record run(const FillOptions& options) {
  Account account;
  return run_fill(session(), account, {"echelon", "fill"}, options, [](double) {});
}

std::vector<double> numbers_in(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  const std::string bytes{std::istreambuf_iterator<char>{in}, {}};
  std::vector<double> numbers((bytes.size() - npy_header_bytes) / sizeof(double));
  std::memcpy(numbers.data(), bytes.data() + npy_header_bytes, numbers.size() * sizeof(double));
  return numbers;
}

std::vector<double> expected(std::uint64_t seed, std::uint64_t size) {
  std::vector<double> numbers(size);
  numeric::uniform(seed, 0, numbers, numeric::Isa::scalar);
  return numbers;
}

template <typename T>
T result(const Record& record, std::string_view name) {
  return measure::get<T>(record.result, name);
}

TEST(fill, file_has_the_numbers_of_its_seed_whatever_ranks_and_threads) {
  for (const std::uint64_t size :
       {std::uint64_t{1}, std::uint64_t{3}, block - 1, block, block + 1, 5 * block + 12345}) {
    for (const std::uint64_t threads : {1, 3}) {
      for (const std::uint64_t seed : {std::uint64_t{0}, std::numeric_limits<std::uint64_t>::max()}) {
        const SharedFolder folder;
        const std::string path = folder.path() / "x.npy";
        const Record record = run({.size = size, .seed = seed, .out = path, .threads = threads});
        if (session().is_master()) {
          EXPECT_TRUE(numbers_in(path) == expected(seed, size)) << size << " doubles, " << threads << " threads";
          EXPECT_TRUE(fill_is_right(record));
        }
        EXPECT_EQ(folder.count(), 1U);
      }
    }
  }
}

TEST(fill, result_says_what_is_in_the_file) {
  const SharedFolder folder;
  constexpr std::uint64_t size = 3 * block + 777;
  const std::string path = folder.path() / "x.npy";
  const Record record = run({.size = size, .seed = 5, .out = path, .threads = 2});
  if (!session().is_master()) {
    EXPECT_TRUE(record.ranks.empty());
    return;
  }
  std::uint64_t checksum = 0;
  numeric::ExactSum sum;
  for (const double number : expected(5, size)) {
    checksum += std::bit_cast<std::uint64_t>(number);
    sum.add(number);
  }
  EXPECT_EQ(result<std::uint64_t>(record, "checksum"), checksum);
  EXPECT_NEAR(result<double>(record, "mean"), sum.round() / static_cast<double>(size), 1e-14);
  EXPECT_EQ(result<std::uint64_t>(record, "size"), size);
  EXPECT_EQ(result<std::uint64_t>(record, "bytes"), std::filesystem::file_size(path));
  EXPECT_EQ(result<std::string>(record, "file"), path);
  EXPECT_GT(result<double>(record, "time_s"), 0);
  EXPECT_EQ(record.command, "fill");
  ASSERT_EQ(record.ranks.size(), static_cast<std::size_t>(session().size()));
  std::uint64_t blocks = 0;
  std::uint64_t doubles = 0;
  for (const measure::RankRecord& rank : record.ranks) {
    blocks += rank.tasks;
    doubles += rank.items;
    EXPECT_NEAR(rank.startup_s + rank.compute_s + rank.communicate_s + rank.wait_s, rank.wall_s, 1e-6);
  }
  EXPECT_EQ(blocks, 4U);
  EXPECT_EQ(doubles, size);
}

// Recorded from one rank; every number of ranks is held to them.
TEST(fill, answer_is_the_same_for_every_number_of_ranks) {
  const SharedFolder folder;
  const Record record = run({.size = 1'000'000, .seed = 0, .out = folder.path() / "x.npy"});
  if (!session().is_master()) return;
  EXPECT_EQ(result<std::uint64_t>(record, "checksum"), 2607208952862336286U) << "numpy.load(FILE).view('u8').sum()";
  EXPECT_EQ(result<double>(record, "mean"), 0.5001788021099828);
}

TEST(fill, file_is_replaced_where_that_was_asked_for) {
  const SharedFolder folder;
  const std::string path = folder.path() / "x.npy";
  (void)run({.size = 2 * block, .seed = 1, .out = path});
  EXPECT_THROW((void)run({.size = 10, .seed = 2, .out = path}), comm::SharedFileError);
  if (session().is_master()) {
    EXPECT_TRUE(numbers_in(path) == expected(1, 2 * block));
  }
  session().barrier();
  (void)run({.size = 10, .seed = 2, .out = path, .replace = true});
  if (session().is_master()) {
    EXPECT_TRUE(numbers_in(path) == expected(2, 10));
  }
}

TEST(fill, failure_is_one_line_on_all_ranks) {
  const SharedFolder folder;
  try {
    (void)run({.size = 1000, .seed = 0, .out = folder.path() / "missing" / "x.npy"});
    ADD_FAILURE() << "nothing was thrown";
  } catch (const comm::SharedFileError& e) {
    EXPECT_THAT(e.what(), testing::AllOf(testing::StartsWith("cannot write " + folder.path().string()),
                                         testing::HasSubstr("No such file or directory"),
                                         testing::Not(testing::HasSubstr("\n"))));
  }
}

TEST(fill, progress_rises_to_the_end) {
  const SharedFolder folder;
  Account account;
  std::vector<double> seen;
  (void)run_fill(session(), account, {}, {.size = 20 * block, .out = folder.path() / "x.npy"},
                 [&](double done) { seen.push_back(done); });
  if (!session().is_master()) return;
  EXPECT_TRUE(std::ranges::is_sorted(seen));
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back(), 1);
}

TEST(fill, missing_numbers_and_bytes_are_noticed) {
  const SharedFolder folder;
  Record record = run({.size = 1000, .out = folder.path() / "x.npy"});
  if (!session().is_master()) return;
  EXPECT_TRUE(fill_is_right(record));
  Record fewer = record;
  for (measure::RankRecord& rank : fewer.ranks) rank.items -= rank.items > 0 ? 1 : 0;
  EXPECT_FALSE(fill_is_right(fewer));
  for (auto& [name, value] : record.result) {
    if (name == "bytes") value = fill_bytes(1000) - 1;
  }
  EXPECT_FALSE(fill_is_right(record));
}

}  // namespace
}  // namespace echelon::workloads
