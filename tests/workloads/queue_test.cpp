#include <algorithm>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/workloads/queue.hpp>

#include "support/mpi_session.hpp"
#include "support/spoil.hpp"

namespace echelon::workloads {
namespace {

using measure::RankRecord;
using measure::Record;
using test::session;
using test::spoilt;

std::uint64_t ranks() { return static_cast<std::uint64_t>(session().size()); }

/// Collective.
Record run(const QueueOptions& options) {
  Account account;
  return run_queue(session(), account, {"echelon", "queue"}, options, [](double) {});
}

std::uint64_t count(const Record& record, std::string_view name) {
  return measure::get<std::uint64_t>(record.result, name);
}

/// The tests need somebody at each end.
class queue : public testing::Test {
 protected:
  void SetUp() override {
    if (ranks() < 2) GTEST_SKIP() << "a queue has two ends";
  }
};

void expect_right(const Record& record, const QueueOptions& options) {
  const std::uint64_t producers = options.producers_of(ranks());
  test::expect_sound_books(record, ranks(), options.repeat);
  std::uint64_t taken = 0;
  for (const RankRecord& rank : record.ranks) {
    EXPECT_EQ(rank.role, rank.rank < producers ? "producer" : "consumer");
    EXPECT_EQ(rank.compute_s, 0);
    if (rank.rank >= producers) {
      taken += rank.items;
    } else {
      const std::uint64_t share = options.items / producers + (rank.rank < options.items % producers ? 1 : 0);
      EXPECT_EQ(rank.items, share * options.repeat);
    }
  }
  EXPECT_EQ(taken, options.items * options.repeat);
  EXPECT_EQ(count(record, "items_put"), taken);
  EXPECT_EQ(count(record, "items_taken"), taken);
  EXPECT_EQ(measure::get<std::uint64_t>(record.parameters, "producers"), producers);
  const auto time_s = measure::get<double>(record.result, "time_s");
  EXPECT_DOUBLE_EQ(measure::get<double>(record.result, "items_per_s") * time_s, static_cast<double>(options.items));
  EXPECT_TRUE(queue_is_right(record));
}

TEST_F(queue, every_size_share_and_capacity_is_right) {
  using Producers = std::optional<std::uint64_t>;
  for (const std::uint64_t items : {0U, 1U, 2U, 10'007U}) {
    for (const Producers producers : {Producers{}, Producers{1}, Producers{ranks() - 1}}) {
      for (const std::uint64_t capacity : {7U, 1024U}) {
        const QueueOptions options{.items = items, .producers = producers, .capacity = capacity, .repeat = 2};
        SCOPED_TRACE(testing::Message() << items << " items, capacity " << capacity << ", "
                                        << options.producers_of(ranks()) << " producers");
        const Record record = run(options);
        if (session().is_master()) {
          expect_right(record, options);
        }
      }
    }
  }
}

TEST_F(queue, one_place_is_enough) {
  const QueueOptions options{.items = 503, .capacity = 1};
  const Record record = run(options);
  if (session().is_master()) {
    expect_right(record, options);
  }
}

TEST_F(queue, items_of_every_size_come_whole) {
  for (const std::uint64_t bytes : {8U, 9U, 15U, 16U, 17U, 1000U, 70'001U}) {
    SCOPED_TRACE(bytes);
    const QueueOptions options{.items = 501, .capacity = 16, .item_bytes = bytes};
    const Record record = run(options);
    if (session().is_master()) {
      expect_right(record, options);
    }
  }
}

TEST_F(queue, half_of_the_ranks_produce_unless_told_otherwise) {
  EXPECT_EQ(QueueOptions{}.producers_of(2), 1U);
  EXPECT_EQ(QueueOptions{}.producers_of(3), 1U);
  EXPECT_EQ(QueueOptions{}.producers_of(4), 2U);
  EXPECT_EQ(QueueOptions{}.producers_of(7), 3U);
}

TEST_F(queue, only_the_master_gets_the_record_and_progress) {
  std::vector<double> seen;
  Account account;
  const QueueOptions options{.items = 10'000, .repeat = 2};
  const Record record = run_queue(session(), account, {}, options, [&](double done) { seen.push_back(done); });
  EXPECT_EQ(record.command, session().is_master() ? "queue" : "");
  EXPECT_EQ(record.ranks.empty(), !session().is_master());
  EXPECT_EQ(seen.empty(), !session().is_master());
  EXPECT_TRUE(std::ranges::is_sorted(seen));
  for (const double done : seen) EXPECT_THAT(done, testing::AllOf(testing::Ge(0), testing::Le(1)));
}

TEST(queue_alone, there_is_nobody_to_consume) {
  if (ranks() == 1) {
    EXPECT_THROW((void)run({.items = 1}), base::UsageError);
  } else {
    EXPECT_THROW((void)run({.items = 1, .producers = ranks()}), base::UsageError);
  }
}

TEST_F(queue, what_is_wrong_in_a_record_is_noticed) {
  Record record = run({.items = 1001, .repeat = 2});
  if (!session().is_master()) return;
  ASSERT_TRUE(queue_is_right(record));
  EXPECT_FALSE(queue_is_right(spoilt(record, "items_put", std::uint64_t{2003})));
  EXPECT_FALSE(queue_is_right(spoilt(record, "items_taken", std::uint64_t{2001})));
  EXPECT_FALSE(queue_is_right(spoilt(record, "checksum_taken", std::string{"0123456789abcdef"})));
  EXPECT_FALSE(queue_is_right(spoilt(record, "each_once", false)));
  EXPECT_FALSE(queue_is_right(spoilt(record, "disordered", std::uint64_t{1})));
  EXPECT_FALSE(queue_is_right(spoilt(record, "damaged", std::uint64_t{1})));
  ++record.ranks.back().items;
  EXPECT_FALSE(queue_is_right(record));
}

}  // namespace
}  // namespace echelon::workloads
