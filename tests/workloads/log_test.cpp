#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <echelon/comm/collectives.hpp>
#include <echelon/workloads/log.hpp>

#include "support/mpi_session.hpp"
#include "support/spoil.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::workloads {
namespace {

namespace fs = std::filesystem;
using measure::RankRecord;
using measure::Record;
using test::session;
using test::spoilt;

std::uint64_t ranks() { return static_cast<std::uint64_t>(session().size()); }

/// One folder for all ranks, of the master's making.
class log : public testing::Test {
 protected:
  log() {
    std::array<char, 256> name{};
    if (session().is_master()) {
      folder_.emplace();
      folder_->path().string().copy(name.data(), name.size() - 1);
    }
    file_ = std::string{comm::broadcast(session(), name).data()} + "/log";
  }
  ~log() override { session().barrier(); }

  /// Collective.
  Record run(LogOptions options) {
    options.file = file_;
    Account account;
    return run_log(session(), account, {"echelon", "log"}, options, [](double) {});
  }

  std::multiset<std::string> lines() const {
    std::multiset<std::string> found;
    std::ifstream in{file_};
    for (std::string line; std::getline(in, line);) found.insert(line);
    return found;
  }

  std::string file_;

 private:
  std::optional<test::TemporaryFolder> folder_;
};

TEST_F(log, every_line_of_every_rank_is_there_once) {
  for (const std::uint64_t lines_a_rank : {0U, 1U, 500U}) {
    for (const std::uint64_t repeat : {1U, 2U}) {
      const Record record = run({.lines = lines_a_rank, .repeat = repeat});
      if (!session().is_master()) continue;
      SCOPED_TRACE(testing::Message() << lines_a_rank << " lines, " << repeat << " repetitions");
      test::expect_sound_books(record, ranks(), repeat);
      std::multiset<std::string> expected;
      for (std::uint64_t rank = 0; rank < ranks(); ++rank) {
        EXPECT_EQ(record.ranks[rank].items, lines_a_rank * repeat);
        for (std::uint64_t line = 1; line <= lines_a_rank; ++line) {
          expected.insert("rank " + std::to_string(rank) + " line " + std::to_string(line) + " of " +
                          std::to_string(lines_a_rank));
        }
      }
      EXPECT_EQ(lines(), expected);
      EXPECT_EQ(measure::get<std::uint64_t>(record.result, "found"), expected.size());
      EXPECT_EQ(measure::get<std::uint64_t>(record.result, "wrong"), 0U);
      EXPECT_EQ(measure::get<std::uint64_t>(record.result, "bytes"), fs::file_size(file_));
      EXPECT_EQ(measure::get<std::string>(record.result, "file"), file_);
      EXPECT_TRUE(log_is_right(record));
      EXPECT_FALSE(fs::exists(partial_log(file_)));
    }
  }
}

TEST_F(log, what_was_there_is_replaced_whole) {
  if (session().is_master()) {
    std::ofstream{file_} << "before\n";
    std::ofstream{partial_log(file_)} << "of an earlier run\n";
  }
  const Record record = run({.lines = 10});
  if (!session().is_master()) return;
  EXPECT_TRUE(log_is_right(record));
  EXPECT_EQ(lines().size(), 10 * ranks());
}

/// What others write into the file meanwhile: the master's progress is told between two of its lines.
TEST_F(log, line_that_does_not_belong_there_is_found_and_the_file_is_not_called_right) {
  // Torn, of no rank, before its turn, there already (the second time), and nothing at all.
  for (const std::string stray : {"rank 0 line", "rank 999 line 1 of 20\n", "rank 0 line 20 of 20\n",
                                  "rank 0 line 1 of 20\n", "\n", "rank 0 line 1 of 20 \n"}) {
    if (session().is_master()) fs::remove(file_);
    session().barrier();
    Account account;
    bool is_written = false;
    const Record record = run_log(session(), account, {}, {.lines = 20, .file = file_}, [&](double) {
      if (std::exchange(is_written, true)) return;
      std::ofstream{partial_log(file_), std::ios::app} << stray;
    });
    if (!session().is_master()) continue;
    SCOPED_TRACE(stray);
    EXPECT_FALSE(log_is_right(record));
    EXPECT_GT(measure::get<std::uint64_t>(record.result, "wrong"), 0U);
    EXPECT_GT(measure::get<std::uint64_t>(record.result, "first_wrong_line"), 1U);
    EXPECT_EQ(measure::get<std::string>(record.result, "file"), partial_log(file_));
    EXPECT_FALSE(fs::exists(file_));
    EXPECT_TRUE(fs::exists(partial_log(file_))) << "for who wants to look";
  }
}

TEST_F(log, only_the_master_gets_the_record_and_progress) {
  std::vector<double> seen;
  Account account;
  const Record record = run_log(session(), account, {}, {.lines = 100, .file = file_, .repeat = 2},
                                [&](double done) { seen.push_back(done); });
  EXPECT_EQ(record.command, session().is_master() ? "log" : "");
  EXPECT_EQ(seen.size(), session().is_master() ? 200U : 0U);
  EXPECT_TRUE(std::ranges::is_sorted(seen));
  for (const double done : seen) EXPECT_THAT(done, testing::AllOf(testing::Gt(0), testing::Le(1)));
}

TEST_F(log, write_that_fails_leaves_no_file) {
  if (ranks() > 1) GTEST_SKIP() << "other ranks would wait for ever; cli.log has them";
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit small{10'000, limit.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  EXPECT_THROW((void)run({.lines = 1000}), std::runtime_error);
  setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, before);
  EXPECT_FALSE(fs::exists(file_));
  EXPECT_FALSE(fs::exists(partial_log(file_)));
}

TEST_F(log, what_is_wrong_in_a_record_is_noticed) {
  Record record = run({.lines = 10, .repeat = 2});
  if (!session().is_master()) return;
  ASSERT_TRUE(log_is_right(record));
  EXPECT_FALSE(log_is_right(spoilt(record, "found", 10 * ranks() - 1)));
  EXPECT_FALSE(log_is_right(spoilt(record, "wrong", std::uint64_t{1})));
  EXPECT_FALSE(log_is_right(spoilt(spoilt(record, "found", std::uint64_t{7}), "expected", std::uint64_t{7})));
  ++record.ranks.back().items;
  EXPECT_FALSE(log_is_right(record));
}

}  // namespace
}  // namespace echelon::workloads
