#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

namespace echelon::farm {

enum class Order { of_input, as_they_come };

/// Results between their arrival and the one who takes them. How many there can be is bounded by JobOptions::window.
template <typename T>
class Delivery {
 public:
  explicit Delivery(Order order) : order_{order} {}

  void put(std::uint64_t task, T value) {
    if (order_ == Order::as_they_come) {
      slots_.emplace_back(std::move(value));
      return;
    }
    const std::uint64_t slot = task - next_;
    if (slot >= slots_.size()) slots_.resize(slot + 1);
    slots_[slot] = std::move(value);
  }

  /// The next one; nothing where that has not come.
  [[nodiscard]] std::optional<T> take() {
    if (slots_.empty() || !slots_.front()) return std::nullopt;
    std::optional<T> value = std::move(slots_.front());
    slots_.pop_front();
    ++next_;
    return value;
  }

  /// Takes out what stands behind a task that is missing, in the order of tasks, and their numbers: take() would never
  /// come to it where the missing one does not come any more.
  [[nodiscard]] std::vector<std::pair<std::uint64_t, T>> take_behind_gap() {
    std::vector<std::pair<std::uint64_t, T>> behind;
    std::size_t at = 0;
    while (at < slots_.size() && slots_[at]) ++at;
    const std::size_t gap = at;
    for (; at < slots_.size(); ++at) {
      if (slots_[at]) behind.emplace_back(next_ + at, std::move(*slots_[at]));
    }
    slots_.resize(gap);
    return behind;
  }

  /// Whether take() would give something.
  [[nodiscard]] bool has_next() const noexcept { return !slots_.empty() && slots_.front().has_value(); }

 private:
  Order order_;
  std::uint64_t next_ = 0;  // the task of the first slot, where they are in the input's order
  std::deque<std::optional<T>> slots_;
};

}  // namespace echelon::farm
