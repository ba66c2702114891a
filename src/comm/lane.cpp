#include "lane.hpp"

#include <algorithm>
#include <cstring>

namespace echelon::comm {
namespace {

/// As far from each other as two counters must be so that no core fetches both with one of them.
constexpr std::size_t false_sharing_distance = 128;
/// After so many bytes the other end is told, so that both copy at the same time.
constexpr std::size_t told_after = 32 << 10;

constexpr std::size_t padded(std::size_t bytes) { return (bytes + Lane::unit - 1) / Lane::unit * Lane::unit; }

}  // namespace

/// Both count bytes since the start; the ring holds what lies between them.
struct Lane::Counters {
  alignas(false_sharing_distance) std::atomic<std::uint64_t> written;
  alignas(false_sharing_distance) std::atomic<std::uint64_t> consumed;
};

Lane::Lane(std::byte* memory) noexcept
    : counters_{*reinterpret_cast<Counters*>(memory)}, ring_{memory + memory_bytes - ring_bytes} {
  static_assert(sizeof(Counters) <= memory_bytes - ring_bytes && std::atomic<std::uint64_t>::is_always_lock_free);
}

std::size_t Lane::write(std::span<const std::byte> bytes) noexcept {
  std::size_t count = 0;
  while (count < bytes.size()) {
    const std::size_t wanted = std::min(padded(bytes.size() - count), told_after);
    if (ring_bytes - (done_ - seen_) < wanted) seen_ = counters_.consumed.load(std::memory_order_acquire);
    const std::size_t at = done_ % ring_bytes;
    const std::size_t room = std::min({ring_bytes - (done_ - seen_), ring_bytes - at, wanted});
    if (room == 0) break;
    const std::size_t size = std::min(room, bytes.size() - count);
    std::memcpy(ring_ + at, bytes.data() + count, size);
    count += size;
    done_ += padded(size);
    counters_.written.store(done_, std::memory_order_release);
  }
  return count;
}

std::span<const std::byte> Lane::readable() noexcept {
  if (seen_ == done_) seen_ = counters_.written.load(std::memory_order_acquire);
  const std::size_t at = done_ % ring_bytes;
  return {ring_ + at, std::min<std::size_t>(seen_ - done_, ring_bytes - at)};
}

void Lane::consume(std::size_t bytes) noexcept {
  done_ += padded(bytes);
  counters_.consumed.store(done_, std::memory_order_release);
}

}  // namespace echelon::comm
