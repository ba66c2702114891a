#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace echelon::comm {

/// A stream of bytes from one rank to another of its node, through a ring in memory that both have mapped. Neither end
/// waits for the other, and an end that dies, even in the middle of a call, leaves the other one whole: each end only
/// ever writes its own counter, after the bytes that the counter speaks of. That is what MPI's shared memory does not
/// give: its ranks take turns at one queue, and share a limited number of buffers, of which a dead rank gives none
/// back.
///
/// What is written comes out in units of 8 bytes, so that a word at the beginning of a message is never cut in two.
class Lane {
 public:
  static constexpr std::size_t unit = 8;
  static constexpr std::size_t ring_bytes = 256 << 10;  ///< for both ends' parts to stay in a core's cache

  /// Memory of a lane: zeros, on a page's edge.
  static constexpr std::size_t memory_bytes = 4096 + ring_bytes;

  explicit Lane(std::byte* memory) noexcept;

  // ---- the sender ----
  /// Writes as much of it as there is room for, which is all of it or a multiple of `unit`; returns how much that was.
  [[nodiscard]] std::size_t write(std::span<const std::byte> bytes) noexcept;

  // ---- the receiver ----
  /// What has come and lies in one piece: less than has come only at the end of the ring. Stays until it is consumed.
  [[nodiscard]] std::span<const std::byte> readable() noexcept;
  /// Gives back the room of the first `bytes` of readable(), and of the padding after a message's end.
  void consume(std::size_t bytes) noexcept;

 private:
  struct Counters;

  Counters& counters_;
  std::byte* const ring_;
  std::uint64_t done_ = 0;  ///< bytes ever written, or consumed, by this end
  std::uint64_t seen_ = 0;  ///< of the other end's counter
};

}  // namespace echelon::comm
