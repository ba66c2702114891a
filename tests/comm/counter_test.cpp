#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/comm/collectives.hpp>
#include <echelon/comm/counter.hpp>

#include "support/mpi_session.hpp"

namespace echelon::comm {
namespace {

using test::session;
using Numbers = std::vector<std::uint64_t>;

/// What all ranks got, sorted, on the master. Collective.
Numbers gather_sorted(const Numbers& mine) {
  session().barrier();
  std::string bytes(mine.size() * sizeof(std::uint64_t), '\0');
  if (!mine.empty()) std::memcpy(bytes.data(), mine.data(), bytes.size());
  Numbers all;
  for (const std::string& text : gather(session(), bytes)) {
    Numbers part(text.size() / sizeof(std::uint64_t));
    if (!part.empty()) std::memcpy(part.data(), text.data(), text.size());
    all.insert(all.end(), part.begin(), part.end());
  }
  std::ranges::sort(all);
  return all;
}

Numbers first(std::uint64_t count) {
  Numbers numbers;
  for (std::uint64_t i = 0; i < count; ++i) numbers.push_back(i);
  return numbers;
}

/// As a workload does it: until there is no more.
Numbers claim_below(Counter& counter, std::uint64_t end) {
  Numbers mine;
  while (true) {
    const std::uint64_t number = counter.next();
    if (number >= end) return mine;
    mine.push_back(number);
  }
}

class counters : public testing::TestWithParam<Counter::Path> {};

TEST_P(counters, begins_at_zero_and_counts_on) {
  Counter counter{session(), GetParam()};
  if (session().is_master()) {
    for (std::uint64_t i = 0; i < 10; ++i) EXPECT_EQ(counter.next(), i);
  }
  session().barrier();
}

TEST_P(counters, worker_alone_gets_every_number) {
  Counter counter{session(), GetParam()};
  if (session().rank() == session().size() - 1) {
    for (std::uint64_t i = 0; i < 1000; ++i) EXPECT_EQ(counter.next(), i);
  }
  session().barrier();
}

TEST_P(counters, claimed_by_all_ranks_gives_each_number_once) {
  constexpr std::uint64_t end = 20'000;
  Counter counter{session(), GetParam()};
  const Numbers mine = claim_below(counter, end);
  EXPECT_TRUE(std::ranges::is_sorted(mine));
  const Numbers all = gather_sorted(mine);
  if (session().is_master()) {
    EXPECT_TRUE(all == first(end));
  }
}

TEST_P(counters, uneven_claims_leave_no_gap) {
  Counter counter{session(), GetParam()};
  Numbers mine;
  for (int i = 0; i < 500 * (session().rank() + 1); ++i) mine.push_back(counter.next());
  const Numbers all = gather_sorted(mine);
  const auto size = static_cast<std::uint64_t>(session().size());
  if (session().is_master()) {
    EXPECT_TRUE(all == first(500 * size * (size + 1) / 2));
  }
}

TEST_P(counters, reset_begins_anew_each_time) {
  Counter counter{session(), GetParam()};
  for (std::uint64_t round = 1; round <= 20; ++round) {
    const Numbers mine = claim_below(counter, 10 * round);
    const Numbers all = gather_sorted(mine);
    if (session().is_master()) {
      EXPECT_TRUE(all == first(10 * round)) << "round " << round;
    }
    counter.reset();
  }
}

TEST_P(counters, two_at_once_do_not_disturb_each_other) {
  Counter one{session(), GetParam()};
  Counter other{session(), GetParam()};
  Numbers of_one;
  Numbers of_other;
  for (int i = 0; i < 500; ++i) {
    of_one.push_back(one.next());
    of_other.push_back(other.next());
    of_other.push_back(other.next());
  }
  one.reset();
  of_other.push_back(other.next());
  const Numbers all_of_one = gather_sorted(of_one);
  const Numbers all_of_other = gather_sorted(of_other);
  const auto size = static_cast<std::uint64_t>(session().size());
  if (session().is_master()) {
    EXPECT_TRUE(all_of_one == first(500 * size));
    EXPECT_TRUE(all_of_other == first(1001 * size));
    EXPECT_EQ(one.next(), 0U);
  }
  session().barrier();
}

TEST_P(counters, new_one_begins_at_zero_whatever_others_did) {
  for (int i = 0; i < 10; ++i) {
    Counter counter{session(), GetParam()};
    const Numbers all = gather_sorted({counter.next()});
    if (session().is_master()) {
      EXPECT_TRUE(all == first(static_cast<std::uint64_t>(session().size())));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(by, counters, testing::Values(Counter::Path::fastest, Counter::Path::messages));

}  // namespace
}  // namespace echelon::comm
