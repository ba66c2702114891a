#include <algorithm>
#include <array>

#include <echelon/schedule/chunks.hpp>

namespace echelon::schedule {
namespace {

constexpr std::array schedules{Schedule::fixed, Schedule::dynamic, Schedule::guided, Schedule::factoring,
                               Schedule::trapezoid};

std::uint64_t ceil_divide(std::uint64_t a, std::uint64_t b) { return a / b + (a % b != 0 ? 1 : 0); }

std::optional<Chunk> non_empty(std::uint64_t first, std::uint64_t count) {
  return count == 0 ? std::nullopt : std::optional{Chunk{first, count}};
}

}  // namespace

std::span<const Schedule> all_schedules() noexcept { return schedules; }

std::string_view name(Schedule schedule) noexcept {
  switch (schedule) {
    case Schedule::fixed: return "static";
    case Schedule::dynamic: return "dynamic";
    case Schedule::guided: return "guided";
    case Schedule::factoring: return "factoring";
    case Schedule::trapezoid: break;
  }
  return "trapezoid";
}

Chunks::Chunks(Schedule schedule, std::uint64_t items, std::uint64_t workers, std::uint64_t chunk)
    : schedule_{schedule}, items_{items}, workers_{workers}, chunk_{chunk} {}

std::optional<Chunk> Chunks::at(std::uint64_t number) {
  if (schedule_ == Schedule::fixed) {
    if (number >= workers_) return std::nullopt;
    const std::uint64_t share = items_ / workers_;
    const std::uint64_t larger = items_ % workers_;  // as many workers get one more
    return non_empty(number * share + std::min(number, larger), share + (number < larger ? 1 : 0));
  }
  if (schedule_ == Schedule::dynamic) {
    if (number >= ceil_divide(items_, chunk_)) return std::nullopt;
    const std::uint64_t first = number * chunk_;
    return Chunk{first, std::min(chunk_, items_ - first)};
  }
  for (; first_ < items_; ++number_) {
    if (schedule_ == Schedule::factoring && number_ % workers_ == 0) {
      batch_size_ = ceil_divide(items_ - first_, 2 * workers_);
    }
    const std::uint64_t count = std::min(std::max(next_size(), chunk_), items_ - first_);
    if (number_ == number) return Chunk{first_, count};
    first_ += count;
  }
  return std::nullopt;
}

/// Of chunk number_, before it is held to the least size and to what is left.
std::uint64_t Chunks::next_size() const {
  if (schedule_ == Schedule::factoring) return batch_size_;
  if (schedule_ == Schedule::guided) return ceil_divide(items_ - first_, workers_);
  const std::uint64_t largest = ceil_divide(items_, 2 * workers_);
  if (largest <= chunk_) return chunk_;
  const std::uint64_t steps = ceil_divide(2 * items_, largest + chunk_);
  const std::uint64_t decrement = steps < 2 ? 0 : (largest - chunk_) / (steps - 1);
  // Not below the least: `steps` chunks, of (largest + least) / 2 on average or more, are enough for all items.
  return largest - number_ * decrement;
}

std::uint64_t default_dynamic_chunk(std::uint64_t items, std::uint64_t workers) noexcept {
  constexpr std::uint64_t chunks_a_worker = 128;
  return std::max<std::uint64_t>(1, items / workers / chunks_a_worker);
}

}  // namespace echelon::schedule
