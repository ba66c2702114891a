#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <echelon/comm/collectives.hpp>

#include "support/mpi_session.hpp"

namespace echelon::comm {
namespace {

using test::session;

struct Item {
  std::int64_t number;
  double value;
  char letter;

  friend bool operator==(const Item&, const Item&) = default;
};

Item item_of(int rank) { return {-7 * rank, 0.5 + rank, static_cast<char>('a' + rank)}; }

TEST(collectives, broadcast_gives_all_ranks_what_the_master_has) {
  const Item got = broadcast(session(), item_of(session().rank()));
  EXPECT_EQ(got, item_of(0));
}

TEST(collectives, broadcast_of_a_large_struct_arrives_whole) {
  struct Large {
    std::array<std::uint32_t, 100'000> words;
  };
  auto mine = std::make_unique<Large>();
  for (std::size_t i = 0; i < mine->words.size(); ++i) {
    mine->words[i] = static_cast<std::uint32_t>(i * (session().is_master() ? 1 : 3));
  }
  *mine = broadcast(session(), *mine);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < mine->words.size(); ++i) wrong += mine->words[i] == i ? 0 : 1;
  EXPECT_EQ(wrong, 0U);
}

TEST(collectives, scatter_gives_rank_i_element_i) {
  std::vector<Item> all;
  for (int rank = 0; session().is_master() && rank < session().size(); ++rank) all.push_back(item_of(rank));
  const Item mine = scatter<Item>(session(), all);
  EXPECT_EQ(mine, item_of(session().rank()));
}

TEST(collectives, gather_gives_the_master_all_by_rank_and_others_nothing) {
  const std::vector<Item> all = gather(session(), item_of(session().rank()));
  if (!session().is_master()) {
    EXPECT_TRUE(all.empty());
    return;
  }
  ASSERT_EQ(all.size(), static_cast<std::size_t>(session().size()));
  for (int rank = 0; rank < session().size(); ++rank) EXPECT_EQ(all[static_cast<std::size_t>(rank)], item_of(rank));
}

TEST(collectives, gather_undoes_scatter) {
  std::vector<std::uint64_t> all;
  for (int rank = 0; session().is_master() && rank < session().size(); ++rank) {
    all.push_back(std::numeric_limits<std::uint64_t>::max() - static_cast<std::uint64_t>(rank));
  }
  const auto mine = scatter<std::uint64_t>(session(), all);
  EXPECT_EQ(gather(session(), mine), all);
}

/// Some empty, some with a zero byte, one longer than what MPI sends at once without asking.
std::string text_of(int rank) {
  switch (rank % 4) {
    case 0: return "";
    case 1: return std::string(1'000'000, static_cast<char>('a' + rank));
    case 2: return {"two\0words", 9};
    default: return "rank " + std::to_string(rank) + ", h\xc3\xb6st\n";
  }
}

void expect_texts(const std::vector<std::string>& all, int shift) {
  if (!session().is_master()) {
    EXPECT_TRUE(all.empty());
    return;
  }
  ASSERT_EQ(all.size(), static_cast<std::size_t>(session().size()));
  for (int rank = 0; rank < session().size(); ++rank) {
    EXPECT_TRUE(all[static_cast<std::size_t>(rank)] == text_of(rank + shift)) << "rank " << rank;
  }
}

TEST(collectives, gather_of_texts_keeps_every_length) {
  for (int shift = 0; shift < 4; ++shift) {
    const std::vector<std::string> all = gather(session(), text_of(session().rank() + shift));
    expect_texts(all, shift);
  }
}

TEST(collectives, gather_of_empty_texts_gives_as_many_as_ranks) {
  const std::vector<std::string> all = gather(session(), std::string{});
  EXPECT_EQ(all.size(), session().is_master() ? static_cast<std::size_t>(session().size()) : 0U);
  EXPECT_THAT(all, testing::Each(testing::IsEmpty()));
}

TEST(collectives, reduce_sum_adds_element_by_element_on_the_master) {
  const std::int64_t rank = session().rank();
  const std::int64_t size = session().size();
  constexpr std::int64_t large = std::int64_t{1} << 59;
  const std::vector<std::int64_t> before{rank, -rank, 1, large, rank == 0 ? -large : large};
  std::vector<std::int64_t> values = before;
  reduce_sum(session(), values);
  if (!session().is_master()) {
    EXPECT_EQ(values, before);
    return;
  }
  const std::int64_t ranks = size * (size - 1) / 2;
  EXPECT_EQ(values, (std::vector<std::int64_t>{ranks, -ranks, size, size * large, (size - 2) * large}));
}

TEST(collectives, reduce_max_takes_the_largest_element_by_element) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const double rank = session().rank();
  const double last = session().size() - 1;
  const std::vector<double> before{rank, -rank, -1e300 - rank, rank == last ? infinity : -infinity};
  std::vector<double> values = before;
  reduce_max(session(), values);
  if (!session().is_master()) {
    EXPECT_EQ(values, before);
    return;
  }
  EXPECT_EQ(values, (std::vector<double>{last, 0, -1e300, infinity}));
}

TEST(collectives, reduce_of_nothing_is_nothing) {
  std::vector<std::int64_t> none;
  EXPECT_NO_THROW(reduce_sum(session(), none));
  EXPECT_TRUE(none.empty());
}

TEST(collectives, reduce_of_many_elements_reaches_each) {
  std::vector<std::int64_t> values(300'000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int64_t>(i);
  reduce_sum(session(), values);
  const std::int64_t factor = session().is_master() ? session().size() : 1;
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < values.size(); ++i) wrong += values[i] == factor * static_cast<std::int64_t>(i) ? 0 : 1;
  EXPECT_EQ(wrong, 0U);
}

// One more than MPI's int can count; refused on every rank before anything is sent, and before memory is taken for it.
TEST(collectives, count_beyond_int_is_refused) {
  constexpr std::size_t count = std::size_t{std::numeric_limits<int>::max()} + 1;
  constexpr std::size_t bytes = count * sizeof(std::int64_t);
  // Addresses without memory behind them, which nothing may touch.
  void* nowhere = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(nowhere, MAP_FAILED);
  const std::span sums{static_cast<std::int64_t*>(nowhere), count};
  const std::span maxima{static_cast<double*>(nowhere), count};
  EXPECT_THROW(reduce_sum(session(), sums), std::out_of_range);
  EXPECT_THROW(reduce_max(session(), maxima), std::out_of_range);
  EXPECT_THROW(detail::broadcast_bytes(session(), nowhere, count), std::out_of_range);
  EXPECT_THROW(detail::scatter_bytes(session(), nowhere, nowhere, count), std::out_of_range);
  EXPECT_THROW(detail::gather_bytes(session(), nowhere, nowhere, count), std::out_of_range);
  munmap(nowhere, bytes);
}

}  // namespace
}  // namespace echelon::comm
