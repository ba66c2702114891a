#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include <echelon/comm/packing.hpp>
#include <echelon/comm/session.hpp>

namespace echelon::shared {

namespace detail {

/// Bytes in blocks, a block a rank, each in the memory of its rank's node.
class Blocks {
 public:
  /// Collective. `starts`: of each rank's block, in bytes, and the end of the last.
  Blocks(const comm::Session& session, std::vector<std::uint64_t> starts);
  ~Blocks();
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;

  [[nodiscard]] std::byte* local() const noexcept;
  void get(std::uint64_t first, std::span<std::byte> to);
  void put(std::uint64_t first, std::span<const std::byte> from);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// As even as can be: each of the first `size` mod `ranks` ranks has one element more.
[[nodiscard]] inline std::uint64_t block_start(std::uint64_t size, std::uint64_t ranks, std::uint64_t rank) {
  return size / ranks * rank + std::min(rank, size % ranks);
}

[[nodiscard]] std::vector<std::uint64_t> block_starts(const comm::Session& session, std::uint64_t size,
                                                      std::uint64_t element_bytes);
void check_range(std::uint64_t first, std::uint64_t count, std::uint64_t size);

}  // namespace detail

/// Python's multiprocessing.Array, across the ranks of a job, in even blocks: the memory of each rank's part is taken
/// where that rank runs, so that n ranks hold an array n times as large as one could.
///
/// local() is this rank's own part, as plain memory. Other parts are read and written by get() and put(): within a node
/// directly in its shared memory; between nodes by messages, which a thread of Echelon's own answers there, so that
/// nobody waits for a rank that computes.
///
/// What one rank has written, another sees after a barrier() of both, or under a Lock. Nothing else keeps ranks apart
/// that write to the same elements. Elements are zero bytes at first.
template <typename T>
class Array {
 public:
  static_assert(std::is_trivially_copyable_v<T> && comm::Sendable<T>,
                "echelon: an Array holds elements of a trivially copyable type without addresses in it");

  /// Collective; `size` is the same on all ranks. Throws std::runtime_error on all where a node has not
  /// so much memory, as far as that is known beforehand.
  Array(const comm::Session& session, std::uint64_t size)
      : session_{session}, size_{size}, blocks_{session, detail::block_starts(session, size, sizeof(T))} {}

  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  /// The index of the first element of a rank's part.
  [[nodiscard]] std::uint64_t first(int rank) const noexcept {
    return detail::block_start(size_, static_cast<std::uint64_t>(session_.size()), static_cast<std::uint64_t>(rank));
  }
  [[nodiscard]] std::uint64_t first() const noexcept { return first(session_.rank()); }
  [[nodiscard]] std::span<T> local() noexcept {
    const int self = session_.rank();
    return {reinterpret_cast<T*>(blocks_.local()), static_cast<std::size_t>(first(self + 1) - first(self))};
  }

  /// Elements of any ranks; std::out_of_range where there are not so many.
  void get(std::uint64_t first, std::span<T> to) {
    detail::check_range(first, to.size(), size_);
    blocks_.get(first * sizeof(T), std::as_writable_bytes(to));
  }
  [[nodiscard]] std::vector<T> get(std::uint64_t first, std::uint64_t count) {
    detail::check_range(first, count, size_);
    std::vector<T> elements(count);
    get(first, std::span{elements});
    return elements;
  }
  [[nodiscard]] T get(std::uint64_t index) { return get(index, 1).front(); }
  void put(std::uint64_t first, std::span<const T> from) {
    detail::check_range(first, from.size(), size_);
    blocks_.put(first * sizeof(T), std::as_bytes(from));
  }
  void put(std::uint64_t index, const T& value) { put(index, std::span{&value, 1}); }

  /// All ranks have written what they had to. Collective.
  void barrier() { session_.barrier(); }
  /// The master gets all of it, the others nothing, after a barrier. Collective.
  [[nodiscard]] std::vector<T> gather() {
    barrier();
    std::vector<T> all;
    if (session_.is_master()) all = get(0, size_);
    barrier();
    return all;
  }

 private:
  const comm::Session& session_;
  std::uint64_t size_;
  detail::Blocks blocks_;
};

}  // namespace echelon::shared
