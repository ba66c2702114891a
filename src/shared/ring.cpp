#include "ring.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include <echelon/comm/backoff.hpp>

#include "apart.hpp"

namespace echelon::shared {
namespace {

constexpr std::uint64_t head_bytes = 8;        // an item's length, times two, plus one where it is kept elsewhere
constexpr std::uint64_t elsewhere_bytes = 24;  // head, rank, where; no item takes less

constexpr std::uint64_t padded(std::uint64_t bytes) { return (bytes + 7) / 8 * 8; }

/// What an item inside takes. At least as much as must be kept free for one more when it is gone: otherwise there would
/// be no room left for that behind a long item.
constexpr std::uint64_t inside_bytes(std::uint64_t size) {
  return std::max(head_bytes + padded(size), elsewhere_bytes);
}

std::uint64_t ring_bytes(const Ring::Options& options) {
  constexpr std::uint64_t least = 4096;
  constexpr std::uint64_t most_for_typical = 64 << 20;
  const std::uint64_t typical = std::min(options.capacity * inside_bytes(options.typical_bytes), most_for_typical);
  // A power of two: places in it are found by a mask.
  return std::bit_ceil(std::max({least, typical, options.capacity * elsewhere_bytes}));
}

}  // namespace

struct Ring::Memory {
  // The producers'; all but `putting` is only for the one that has the turn.
  alignas(apart) std::atomic<std::uint32_t> putting;  // rank + 1 of who has the turn
  std::uint64_t tail;                                 // bytes ever put in
  std::uint64_t seen_got;
  std::uint64_t seen_freed;
  alignas(apart) std::atomic<std::uint64_t> put;  // items ever put in
  // The consumers'.
  alignas(apart) std::atomic<std::uint32_t> getting;
  std::uint64_t seen_put;
  alignas(apart) std::atomic<std::uint64_t> got;  // items ever taken out
  std::atomic<std::uint64_t> freed;               // bytes; after `got` when written, before it when read
};

/// To be alone among producers, or among consumers, for as long as it lives.
class Ring::Turn {
 public:
  Turn(std::atomic<std::uint32_t>& word, const Hooks& hooks) : word_{word} {
    const auto self = static_cast<std::uint32_t>(hooks.self) + 1;
    std::uint32_t holder = 0;
    if (word_.compare_exchange_strong(holder, self, std::memory_order_acquire)) return;
    comm::Backoff backoff{hooks.yields_at_once};
    for (;;) {
      if (holder != 0 && hooks.check) hooks.check(static_cast<int>(holder) - 1);
      backoff.pause();
      holder = word_.load(std::memory_order_relaxed);
      if (holder == 0 && word_.compare_exchange_weak(holder, self, std::memory_order_acquire)) return;
    }
  }
  ~Turn() { word_.store(0, std::memory_order_release); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  std::atomic<std::uint32_t>& word_;
};

std::uint64_t Ring::bytes(const Options& options) { return sizeof(Memory) + shared::ring_bytes(options); }

Ring::Ring(std::byte* memory, const Options& options, Hooks hooks)
    : capacity_{options.capacity},
      ring_bytes_{shared::ring_bytes(options)},
      hooks_{std::move(hooks)},
      memory_{*reinterpret_cast<Memory*>(memory)},
      ring_{memory + sizeof(Memory)} {}

void Ring::copy_in(std::uint64_t at, const void* from, std::uint64_t size) noexcept {
  const std::uint64_t begin = at & (ring_bytes_ - 1);
  const std::uint64_t first = std::min(size, ring_bytes_ - begin);
  std::memcpy(ring_ + begin, from, first);
  if (first < size) std::memcpy(ring_, static_cast<const std::byte*>(from) + first, size - first);
}

void Ring::copy_out(std::uint64_t at, void* to, std::uint64_t size) const noexcept {
  const std::uint64_t begin = at & (ring_bytes_ - 1);
  const std::uint64_t first = std::min(size, ring_bytes_ - begin);
  std::memcpy(to, ring_ + begin, first);
  if (first < size) std::memcpy(static_cast<std::byte*>(to) + first, ring_, size - first);
}

bool Ring::try_put(std::span<const std::byte> item) {
  Memory& m = memory_;
  const Turn turn{m.putting, hooks_};
  const std::uint64_t count = m.put.load(std::memory_order_relaxed);
  const auto look = [&] {
    // In this order: room that comes with an item is not given to another without what must be kept for the next.
    m.seen_freed = m.freed.load(std::memory_order_acquire);
    m.seen_got = m.got.load(std::memory_order_acquire);
  };
  const auto fits = [&](std::uint64_t bytes) {
    // There must be room for the places of as many more as the ring may hold.
    const std::uint64_t to_come = capacity_ - (count - m.seen_got) - 1;
    return m.tail - m.seen_freed + bytes + to_come * elsewhere_bytes <= ring_bytes_;
  };
  if (count - m.seen_got >= capacity_) look();
  if (count - m.seen_got >= capacity_) return false;

  std::uint64_t bytes = inside_bytes(item.size());
  if (!fits(bytes)) look();
  const bool inside = bytes <= elsewhere_bytes || fits(bytes);
  const std::uint64_t head = item.size() << 1 | (inside ? 0 : 1);
  if (inside) {
    if (!item.empty()) copy_in(m.tail + head_bytes, item.data(), item.size());
  } else {
    const std::uint64_t place[2] = {static_cast<std::uint64_t>(hooks_.self), hooks_.store(item)};
    copy_in(m.tail + head_bytes, place, sizeof place);
    bytes = elsewhere_bytes;
  }
  copy_in(m.tail, &head, head_bytes);
  m.tail += bytes;
  m.put.store(count + 1, std::memory_order_release);
  return true;
}

bool Ring::try_get(comm::Bytes& item) {
  Memory& m = memory_;
  std::uint64_t place[2] = {};
  bool inside = true;
  {
    const Turn turn{m.getting, hooks_};
    const std::uint64_t count = m.got.load(std::memory_order_relaxed);
    if (count == m.seen_put) m.seen_put = m.put.load(std::memory_order_acquire);
    if (count == m.seen_put) return false;
    std::uint64_t at = m.freed.load(std::memory_order_relaxed);
    std::uint64_t head = 0;
    copy_out(at, &head, head_bytes);
    item.resize(head >> 1);
    inside = (head & 1) == 0;
    if (inside) {
      if (!item.empty()) copy_out(at + head_bytes, item.data(), item.size());
      at += inside_bytes(item.size());
    } else {
      copy_out(at + head_bytes, place, sizeof place);
      at += elsewhere_bytes;
    }
    m.got.store(count + 1, std::memory_order_release);
    m.freed.store(at, std::memory_order_release);
  }
  if (!inside) hooks_.take(static_cast<int>(place[0]), place[1], item);
  return true;
}

// What grows against the answer is read last: what these say was so when they were called.

bool Ring::looks_full() const noexcept { return items() >= capacity_; }

bool Ring::looks_empty() const noexcept {
  const std::uint64_t got = memory_.got.load(std::memory_order_acquire);
  return memory_.put.load(std::memory_order_relaxed) == got;
}

std::uint64_t Ring::items() const noexcept {
  const std::uint64_t put = memory_.put.load(std::memory_order_acquire);
  const std::uint64_t got = memory_.got.load(std::memory_order_relaxed);
  return put > got ? put - got : 0;
}

}  // namespace echelon::shared
