#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/workloads/counter.hpp>

#include "support/mpi_session.hpp"
#include "support/spoil.hpp"

namespace echelon::workloads {
namespace {

using measure::RankRecord;
using measure::Record;
using test::session;
using test::spoilt;
using Method = CounterOptions::Method;

constexpr std::array methods{Method::atomic, Method::lock};

std::uint64_t ranks() { return static_cast<std::uint64_t>(session().size()); }

/// Collective.
Record run(const CounterOptions& options) {
  Account account;
  return run_counter(session(), account, {"echelon", "counter"}, options, [](double) {});
}

TEST(counter, is_exact_in_every_repetition) {
  for (const Method method : methods) {
    for (const std::uint64_t increments : {0U, 1U, 100U, 10'000U}) {
      const CounterOptions options{.increments = increments, .method = method, .repeat = 3};
      const Record record = run(options);
      if (!session().is_master()) continue;
      SCOPED_TRACE(testing::Message() << increments << " increments, "
                                      << measure::get<std::string>(record.parameters, "method"));
      test::expect_sound_books(record, ranks(), options.repeat);
      EXPECT_EQ(measure::get<std::uint64_t>(record.result, "expected"), increments * ranks());
      EXPECT_EQ(measure::get<std::uint64_t>(record.result, "found"), increments * ranks());
      for (const RankRecord& rank : record.ranks) {
        EXPECT_EQ(rank.items, increments * options.repeat);
        EXPECT_EQ(rank.compute_s, 0);
      }
      EXPECT_TRUE(counter_is_right(record));
    }
  }
}

TEST(counter, method_is_in_the_record) {
  for (const Method method : methods) {
    const Record record = run({.increments = 1, .method = method});
    if (session().is_master()) {
      EXPECT_EQ(measure::get<std::string>(record.parameters, "method"), method == Method::lock ? "lock" : "atomic");
    }
  }
}

TEST(counter, only_the_master_gets_the_record_and_progress) {
  std::vector<double> seen;
  Account account;
  const CounterOptions options{.increments = 1000, .repeat = 2};
  const Record record = run_counter(session(), account, {}, options, [&](double done) { seen.push_back(done); });
  EXPECT_EQ(record.command, session().is_master() ? "counter" : "");
  EXPECT_EQ(seen.empty(), !session().is_master());
  EXPECT_TRUE(std::ranges::is_sorted(seen));
  for (const double done : seen) EXPECT_THAT(done, testing::AllOf(testing::Ge(0), testing::Le(1)));
}

TEST(counter, what_is_wrong_in_a_record_is_noticed) {
  Record record = run({.increments = 100, .repeat = 2});
  if (!session().is_master()) return;
  ASSERT_TRUE(counter_is_right(record));
  EXPECT_FALSE(counter_is_right(spoilt(record, "found", 100 * ranks() - 1)));
  EXPECT_FALSE(counter_is_right(spoilt(record, "expected", 100 * ranks() + 1)));
  EXPECT_FALSE(counter_is_right(spoilt(spoilt(record, "found", std::uint64_t{7}), "expected", std::uint64_t{7})));
  --record.ranks.back().items;
  EXPECT_FALSE(counter_is_right(record));
}

}  // namespace
}  // namespace echelon::workloads
