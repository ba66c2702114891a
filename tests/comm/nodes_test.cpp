#include <algorithm>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/comm/collectives.hpp>
#include <echelon/comm/nodes.hpp>

#include "support/mpi_session.hpp"

namespace echelon::comm {
namespace {

using test::session;

std::uint64_t* words(const SharedMemory& memory) { return reinterpret_cast<std::uint64_t*>(memory.data()); }

/// Of this node, including this one.
std::vector<int> ranks_here() {
  std::vector<int> ranks;
  for (int rank = 0; rank < session().size(); ++rank) {
    if (Nodes::of(session()).is_here(rank)) ranks.push_back(rank);
  }
  return ranks;
}

TEST(nodes, all_ranks_agree_on_them) {
  const Nodes& nodes = Nodes::of(session());
  int leaders = 0;
  for (int rank = 0; rank < session().size(); ++rank) {
    const std::vector<int> said = all_gather(session(), nodes.leader(rank));
    for (const int leader : said) EXPECT_EQ(leader, nodes.leader(rank));
    EXPECT_LE(nodes.leader(rank), rank);
    if (nodes.leader(rank) == rank) ++leaders;
    EXPECT_NE(nodes.host(rank), "");
  }
  EXPECT_EQ(nodes.is_one(), leaders == 1);
  EXPECT_TRUE(nodes.is_here(session().rank()));
}

TEST(nodes, are_as_large_as_they_are_told_to_be) {
  const char* text = std::getenv(ranks_a_node_variable);
  const int ranks = session().size();
  const int ranks_a_node = text == nullptr ? ranks : std::atoi(text);
  const int self = session().rank();
  EXPECT_EQ(Nodes::of(session()).leader(self), self / ranks_a_node * ranks_a_node);
}

TEST(shared_memory, is_zeros_at_first_and_shared_within_a_node_only) {
  const auto ranks = static_cast<std::size_t>(session().size());
  const SharedMemory memory{session(), ranks * sizeof(std::uint64_t)};
  for (std::size_t i = 0; i < ranks; ++i) EXPECT_EQ(words(memory)[i], 0U);
  session().barrier();
  const int self = session().rank();
  words(memory)[self] = 100U + static_cast<std::uint64_t>(self);
  session().barrier();
  for (int rank = 0; rank < session().size(); ++rank) {
    const bool is_here = Nodes::of(session()).is_here(rank);
    EXPECT_EQ(words(memory)[rank], is_here ? 100U + static_cast<std::uint64_t>(rank) : 0U);
  }
  session().barrier();
}

TEST(shared_memory, of_nothing_is_there) {
  const SharedMemory memory{session(), 0};
  EXPECT_NE(memory.data(), nullptr);
}

TEST(shared_memory, too_large_is_refused_on_all_ranks) {
  for (const std::uint64_t bytes : {std::uint64_t{1} << 50, std::uint64_t{std::numeric_limits<std::int64_t>::max()}}) {
    std::string said;
    try {
      const SharedMemory memory{session(), bytes};
    } catch (const std::runtime_error& e) {
      said = e.what();
    }
    EXPECT_NE(said.find("cannot share " + std::to_string(bytes) + " bytes"), std::string::npos) << said;
  }
}

TEST(shared_memory, too_large_on_one_node_is_refused_on_all_ranks) {
  const bool asks_for_much = Nodes::of(session()).is_here(0);
  EXPECT_THROW((SharedMemory{session(), asks_for_much ? std::uint64_t{1} << 50 : 8}), std::runtime_error);
}

TEST(store, is_read_by_others_of_the_node_wherever_it_is) {
  Nodes& nodes = Nodes::of(session());
  const auto self = static_cast<std::uint64_t>(session().rank());
  struct Stored {
    std::uint64_t first;
    std::uint64_t second;
  };
  const std::string text = "of rank " + std::to_string(self);
  const std::vector<std::byte> many(1'000'003, std::byte{static_cast<unsigned char>(self + 1)});
  const Stored mine{nodes.store(std::as_bytes(std::span{text})), nodes.store(many)};
  const std::vector<Stored> all = all_gather(session(), mine);

  // Each takes what the next of its node has stored: once.
  const std::vector<int> here = ranks_here();
  const auto place = static_cast<std::size_t>(std::ranges::find(here, session().rank()) - here.begin());
  const int other = here[(place + 1) % here.size()];
  const Stored& its = all[static_cast<std::size_t>(other)];
  std::string taken("of rank N");
  nodes.take(other, its.first, std::as_writable_bytes(std::span{taken}));
  EXPECT_EQ(taken, "of rank " + std::to_string(other));
  std::vector<std::byte> much(many.size());
  nodes.take(other, its.second, much);
  EXPECT_EQ(much, std::vector<std::byte>(many.size(), std::byte{static_cast<unsigned char>(other + 1)}));
}

}  // namespace
}  // namespace echelon::comm
