#pragma once

#include <cstdint>
#include <memory>

#include <echelon/comm/session.hpp>

namespace echelon::comm {

/// One number, kept by the master, that any rank takes and raises at once: 0, 1, 2, ... each once.
///
/// Within a node, and over networks with one-sided communication, this is MPI_Fetch_and_op (about 1 us on shared
/// memory). Where Open MPI has no window for the network (Debian's over TCP), ranks ask the master by message.
///
/// Either way the master may have to be inside Echelon for a claim to be answered: one that computes calls
/// Session::progress() every so often, and after the last next() all ranks pass Session::barrier() before any other
/// collective operation.
class Counter {
 public:
  enum class Path { fastest, messages };

  /// Collective.
  explicit Counter(const Session& session, Path path = Path::fastest);
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
