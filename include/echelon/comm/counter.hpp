#pragma once

#include <cstdint>
#include <memory>

#include <echelon/comm/session.hpp>

namespace echelon::comm {

/// One number, kept by the master, that any rank takes and raises at once (MPI_Fetch_and_op): 0, 1, 2, ... each once.
///
/// Within a node this is an atomic instruction on shared memory (about 1 us). Between nodes the network may need the
/// master to be inside MPI, so a master that computes calls Session::progress() every so often.
class Counter {
 public:
  /// Collective.
  explicit Counter(const Session& session);
  /// Collective.
  ~Counter();
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;

  /// Not collective.
  [[nodiscard]] std::uint64_t next();

  /// Back to 0, for all ranks. Collective; no rank is inside next().
  void reset();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace echelon::comm
