#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/schedule/node_pieces.hpp>

namespace echelon::schedule {
namespace {

/// Of so many chunks of one item.
NodePieces dynamic(std::uint64_t chunks, std::uint64_t workers, std::uint64_t nodes) {
  return {Schedule::dynamic, chunks, workers, 1, nodes};
}

TEST(node_pieces, have_a_quarter_of_a_nodes_share_and_at_the_end_one_chunk) {
  const NodePieces pieces = dynamic(8192, 64, 4);
  EXPECT_EQ(pieces.at(0), 512U);
  EXPECT_EQ(pieces.at(512), 480U);
  EXPECT_EQ(pieces.at(8192 - 32), 2U);
  EXPECT_EQ(pieces.at(8192 - 31), 1U);
  EXPECT_EQ(pieces.at(8191), 1U);
}

TEST(node_pieces, behind_the_last_chunk_there_is_one_number_for_each_rank) {
  EXPECT_EQ(dynamic(100, 7, 2).at(100), 7U);
  EXPECT_EQ(dynamic(100, 7, 2).at(UINT64_MAX), 7U);
  EXPECT_EQ(dynamic(0, 3, 2).at(0), 3U);
}

TEST(node_pieces, chunks_are_counted_whole) {
  // 11 items in chunks of 5 are three chunks.
  const NodePieces pieces{Schedule::dynamic, 11, 2, 5, 2};
  EXPECT_EQ(pieces.at(2), 1U);
  EXPECT_EQ(pieces.at(3), 2U);
}

TEST(node_pieces, largest_loop_does_not_overflow) {
  EXPECT_EQ(dynamic(UINT64_MAX, UINT64_MAX, UINT64_MAX).at(0), 1U);
  EXPECT_EQ(dynamic(UINT64_MAX, 1000, 2).at(0), UINT64_MAX / 8);
}

TEST(node_pieces, pay_with_dynamic_between_nodes_only) {
  for (const Schedule schedule : all_schedules()) {
    EXPECT_EQ((NodePieces{schedule, 100, 4, 1, 2}.pay()), schedule == Schedule::dynamic) << name(schedule);
    EXPECT_FALSE((NodePieces{schedule, 100, 4, 1, 1}.pay())) << name(schedule);
  }
}

TEST(node_pieces, never_grow_never_pass_the_end_and_are_few) {
  std::mt19937_64 random{7};
  for (int i = 0; i < 2000; ++i) {
    const std::uint64_t chunks = random() % (std::uint64_t{1} << random() % 30);
    const std::uint64_t nodes = 1 + random() % 100;
    const NodePieces pieces = dynamic(chunks, nodes * (1 + random() % 64), nodes);
    std::uint64_t given = 0;
    std::uint64_t count = 0;
    for (std::uint64_t last = UINT64_MAX; given < chunks; ++count) {
      const std::uint64_t piece = pieces.at(given);
      ASSERT_GE(piece, 1U);
      ASSERT_LE(piece, last);
      ASSERT_LE(piece, chunks - given);
      last = piece;
      given += piece;
    }
    // 8M of one chunk, and before that each takes 1 / 8M or more of what is left, of which there are e^22 at most.
    ASSERT_LE(count, 8 * nodes * 23) << chunks << " chunks, " << nodes << " nodes";
  }
}

/// Ranks of some speeds that take chunks of one item, each whenever it is free.
struct Team {
  std::uint64_t nodes;
  std::uint64_t ranks_a_node;
  std::vector<double> speeds;  // by rank
};

/// When the last one ends. The first node's ranks take single chunks, and with `by_piece` the others' share pieces.
double end_time(const Team& team, std::uint64_t chunks, bool by_piece) {
  const NodePieces pieces = dynamic(chunks, team.speeds.size(), team.nodes);
  struct Piece {
    std::uint64_t next = 0;
    std::uint64_t end = 0;
  };
  std::vector<Piece> of_node(team.nodes);
  std::vector<double> free_at(team.speeds.size(), 0.0);
  std::vector<bool> has_ended(team.speeds.size(), false);
  std::uint64_t next = 0;
  for (std::size_t ended = 0; ended < free_at.size();) {
    std::size_t rank = 0;
    while (has_ended[rank]) ++rank;
    for (std::size_t r = rank; r < free_at.size(); ++r) {
      if (!has_ended[r] && free_at[r] < free_at[rank]) rank = r;
    }
    Piece& piece = of_node[rank / team.ranks_a_node];
    if (piece.next == piece.end) {
      const bool takes_one = !by_piece || rank < team.ranks_a_node;
      piece.next = next;
      next += takes_one ? 1 : pieces.at(next);
      piece.end = next;
    }
    if (piece.next++ < chunks) {
      free_at[rank] += 1 / team.speeds[rank];
    } else {
      has_ended[rank] = true;
      ++ended;
    }
  }
  return *std::ranges::max_element(free_at);
}

TEST(node_pieces, balance_is_that_of_single_chunks_where_no_node_has_less_than_a_quarter_of_the_mean_speed) {
  std::mt19937_64 random{11};
  for (int i = 0; i < 300; ++i) {
    Team team{2 + random() % 6, 1 + random() % 8, {}};
    for (std::uint64_t node = 0; node < team.nodes; ++node) {
      const double speed = std::uniform_real_distribution{0.26, 1.0}(random);
      team.speeds.resize(team.speeds.size() + team.ranks_a_node, speed);
    }
    const std::uint64_t chunks = team.speeds.size() * (1 + random() % 128);
    double all = 0;
    for (const double speed : team.speeds) all += speed;
    const double ideal = static_cast<double>(chunks) / all;
    const double slowest_chunk = 1 / *std::ranges::min_element(team.speeds);
    EXPECT_LE(end_time(team, chunks, false), ideal + slowest_chunk);
    EXPECT_LE(end_time(team, chunks, true), ideal + 2 * slowest_chunk)
        << team.nodes << " nodes of " << team.ranks_a_node << " ranks, " << chunks << " chunks";
  }
}

}  // namespace
}  // namespace echelon::schedule
