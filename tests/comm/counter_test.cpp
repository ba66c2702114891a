#include <algorithm>
#include <cstdint>
#include <cstring>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/comm/collectives.hpp>
#include <echelon/comm/counter.hpp>
#include <echelon/comm/nodes.hpp>

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

/// What other nodes take at once: nothing said, always as many, or fewer and fewer.
struct Pieces {
  const char* name;
  Counter::Piece piece;
};

void PrintTo(const Pieces& pieces, std::ostream* out) { *out << pieces.name; }

class counters : public testing::TestWithParam<Pieces> {
 protected:
  /// Sorted, so many, each once. Where nodes take pieces, some numbers of these may be left.
  static void expect_each_once(const Numbers& all, std::uint64_t count) {
    EXPECT_EQ(all.size(), count);
    EXPECT_EQ(std::ranges::adjacent_find(all), all.end());
    if (!GetParam().piece || Nodes::of(session()).is_one()) {
      EXPECT_TRUE(all == first(count));
    }
  }
};

TEST_P(counters, begins_at_zero_and_counts_on) {
  Counter counter{session(), GetParam().piece};
  if (session().is_master()) {
    for (std::uint64_t i = 0; i < 10; ++i) EXPECT_EQ(counter.next(), i);
  }
  session().barrier();
}

TEST_P(counters, worker_alone_gets_every_number) {
  Counter counter{session(), GetParam().piece};
  if (session().rank() == session().size() - 1) {
    for (std::uint64_t i = 0; i < 200; ++i) EXPECT_EQ(counter.next(), i);
  }
  session().barrier();
}

TEST_P(counters, claimed_by_all_ranks_gives_each_number_once) {
  constexpr std::uint64_t end = 2000;
  Counter counter{session(), GetParam().piece};
  const Numbers mine = claim_below(counter, end);
  EXPECT_TRUE(std::ranges::is_sorted(mine));
  const Numbers all = gather_sorted(mine);
  if (session().is_master()) {
    EXPECT_TRUE(all == first(end));
  }
}

TEST_P(counters, uneven_claims_leave_no_gap) {
  Counter counter{session(), GetParam().piece};
  Numbers mine;
  for (int i = 0; i < 100 * (session().rank() + 1); ++i) mine.push_back(counter.next());
  const Numbers all = gather_sorted(mine);
  const auto size = static_cast<std::uint64_t>(session().size());
  if (session().is_master()) expect_each_once(all, 100 * size * (size + 1) / 2);
}

TEST_P(counters, reset_begins_anew_each_time) {
  Counter counter{session(), GetParam().piece};
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
  Counter one{session(), GetParam().piece};
  Counter other{session(), GetParam().piece};
  Numbers of_one;
  Numbers of_other;
  for (int i = 0; i < 100; ++i) {
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
    expect_each_once(all_of_one, 100 * size);
    expect_each_once(all_of_other, 201 * size);
    EXPECT_EQ(one.next(), 0U);
  }
  session().barrier();
}

TEST_P(counters, new_one_begins_at_zero_whatever_others_did) {
  for (int i = 0; i < 10; ++i) {
    Counter counter{session(), GetParam().piece};
    const Numbers all = gather_sorted({counter.next()});
    if (session().is_master()) expect_each_once(all, static_cast<std::uint64_t>(session().size()));
  }
}

/// What this rank sends to other nodes while each rank in turn takes so many numbers. Collective.
base::Traffic sent_while_all_take(Counter& counter, int numbers) {
  const base::Traffic before = session().between_nodes();
  for (int rank = 0; rank < session().size(); ++rank) {
    for (int i = 0; rank == session().rank() && i < numbers; ++i) (void)counter.next();
    session().barrier();
  }
  const base::Traffic after = session().between_nodes();
  return {after.messages - before.messages, after.bytes - before.bytes};
}

/// How many ranks are of the node of `rank`.
std::uint64_t ranks_of_node(int rank) {
  const Nodes& nodes = Nodes::of(session());
  std::uint64_t count = 0;
  for (int other = 0; other < session().size(); ++other) count += nodes.leader(other) == nodes.leader(rank) ? 1U : 0U;
  return count;
}

TEST(counter_between_nodes, each_number_is_a_message_and_its_answer) {
  Counter counter{session()};
  const base::Traffic sent = sent_while_all_take(counter, 10);
  const auto size = static_cast<std::uint64_t>(session().size());
  if (session().is_master()) {
    const std::uint64_t answers = 10 * (size - ranks_of_node(0));
    EXPECT_EQ(sent.messages, answers);
    EXPECT_EQ(sent.bytes, 16 * answers);
  } else {
    EXPECT_EQ(sent.messages, Nodes::of(session()).is_here(0) ? 0U : 10U);
    EXPECT_EQ(sent.bytes, 0U);
  }
}

TEST(counter_between_nodes, a_piece_is_one_message_for_all_ranks_of_a_node) {
  Counter counter{session(), [](std::uint64_t) { return std::uint64_t{4}; }};
  const base::Traffic sent = sent_while_all_take(counter, 10);
  const Nodes& nodes = Nodes::of(session());
  const int self = session().rank();
  if (session().is_master()) {
    std::uint64_t pieces = 0;
    for (int rank = 1; rank < session().size(); ++rank) {
      if (nodes.leader(rank) == rank) pieces += (10 * ranks_of_node(rank) + 3) / 4;
    }
    EXPECT_EQ(sent.messages, pieces);
    EXPECT_EQ(sent.bytes, 16 * pieces);
  } else {
    // This one's numbers of its node, of which each fourth is asked for.
    const auto before = 10 * static_cast<std::uint64_t>(self - nodes.leader(self));
    EXPECT_EQ(sent.messages, nodes.is_here(0) ? 0 : (before + 10 + 3) / 4 - (before + 3) / 4);
  }
}

const Pieces none{"none", {}};
const Pieces fives{"fives", [](std::uint64_t) { return std::uint64_t{5}; }};
const Pieces falling{"falling", [](std::uint64_t first) { return 1 + 300 / (1 + first); }};

INSTANTIATE_TEST_SUITE_P(by, counters, testing::Values(none, fives, falling),
                         [](const auto& test) { return std::string{test.param.name}; });

}  // namespace
}  // namespace echelon::comm
