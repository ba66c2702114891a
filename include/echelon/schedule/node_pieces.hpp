#pragma once

#include <cstdint>

#include <echelon/schedule/chunks.hpp>

namespace echelon::schedule {

/// How the chunks of a loop go to nodes, whose ranks then share them: a piece is several chunks that follow each other.
/// Each chunk stays what Chunks makes it.
///
/// With R chunks left over M nodes a piece has R / 4M, at least one. So a node of a quarter of the others' speed still
/// ends with them, and the last chunks go one by one: simulated, 4 nodes of 16 ranks take 92 pieces of 8192 chunks and
/// are as balanced as when each rank claims each chunk, with R / 2M and half the pieces a slow node took 1.2 times as
/// long.
class NodePieces {
 public:
  /// As for Chunks. @pre nodes >= 1, workers >= 1, chunk >= 1
  NodePieces(Schedule schedule, std::uint64_t items, std::uint64_t workers, std::uint64_t chunk,
             std::uint64_t nodes) noexcept;

  /// Whether that pays: with `dynamic`, which has about 128 chunks a rank. Of guided, factoring and trapezoid, which
  /// have about 4 to 12, pieces save little, and balance suffers: simulated, with one slow node of 4, trapezoid took
  /// 1.6 times as long.
  [[nodiscard]] bool pay() const noexcept { return schedule_ == Schedule::dynamic && nodes_ > 1; }

  /// How many chunks a node takes from chunk `number` on. Behind the last one as many as there are workers, so that
  /// each rank of a node sees the end by itself. @pre pay()
  [[nodiscard]] std::uint64_t at(std::uint64_t number) const noexcept;

 private:
  Schedule schedule_;
  std::uint64_t chunks_;
  std::uint64_t workers_;
  std::uint64_t nodes_;
};

}  // namespace echelon::schedule
