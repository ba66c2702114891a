#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include <echelon/comm/packing.hpp>

namespace echelon::shared {

/// A bounded queue of items of bytes in memory that processes share: any of them puts and gets. No MPI, no waiting but
/// for another rank that is inside of it for some tens of nanoseconds.
///
/// Producers take turns by one lock and consumers by another, so that one producer and one consumer never meet but in
/// the two counters, of which each end keeps a copy and looks again only when that is used up. Items are put in and
/// taken out in one order.
class Ring {
 public:
  struct Options {
    std::uint64_t capacity;       ///< items, at least 1
    std::uint64_t typical_bytes;  ///< of an item
  };
  /// What the ring needs of its surroundings.
  struct Hooks {
    int self = 0;
    bool yields_at_once = false;
    /// An item for which there is no room inside is kept elsewhere, and taken from there by where it is.
    std::function<std::uint64_t(std::span<const std::byte>)> store{};
    std::function<void(int from, std::uint64_t where, std::span<std::byte>)> take{};
    /// Throws where `holder`, which is inside and keeps others out, is gone.
    std::function<void(int holder)> check{};
  };

  /// 24 bytes an item at least: as much as the place of one that is kept elsewhere takes.
  [[nodiscard]] static std::uint64_t bytes(const Options& options);
  /// `memory`: bytes() of them, zeros at first, on the edge of a page.
  Ring(std::byte* memory, const Options& options, Hooks hooks);

  /// False: it is full.
  bool try_put(std::span<const std::byte> item);
  /// False: it is empty.
  bool try_get(comm::Bytes& item);

  /// By another's counters, without a lock, for those who wait.
  [[nodiscard]] bool looks_full() const noexcept;
  [[nodiscard]] bool looks_empty() const noexcept;
  /// Items in it, as of a moment ago.
  [[nodiscard]] std::uint64_t items() const noexcept;

 private:
  struct Memory;
  class Turn;

  void copy_in(std::uint64_t at, const void* from, std::uint64_t size) noexcept;
  void copy_out(std::uint64_t at, void* to, std::uint64_t size) const noexcept;

  std::uint64_t capacity_;
  std::uint64_t ring_bytes_;
  Hooks hooks_;
  Memory& memory_;
  std::byte* ring_;
};

}  // namespace echelon::shared
