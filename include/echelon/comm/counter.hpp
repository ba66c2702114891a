#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include <echelon/comm/session.hpp>

namespace echelon::comm {

/// One number that any rank takes and raises at once: 0, 1, 2, ... each once, and to each rank in rising order.
///
/// It lies in the memory of the master's node, whose ranks take it there. Ranks of other nodes ask the master by
/// message: each for itself, or, where it is told how large pieces are, a node at once for several numbers, which its
/// ranks share in memory of their own.
///
/// The master has to be inside Echelon for a message to be answered: one that computes calls Session::progress() every
/// so often, and after the last next() all ranks pass Session::barrier() before any other collective operation.
class Counter {
 public:
  /// How many numbers, from `first` on, a node takes at once; 1 or more. Called on the master.
  using Piece = std::function<std::uint64_t(std::uint64_t first)>;

  /// Collective. Throws std::runtime_error where ranks cannot share memory.
  explicit Counter(const Session& session, Piece piece = {});
  /// Collective, but for a rank that is leaving by an exception: its session is about to be aborted.
  ~Counter();
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;

  /// Not collective.
  [[nodiscard]] std::uint64_t next();

  /// Back to 0, for all ranks. Collective.
  void reset();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace echelon::comm
