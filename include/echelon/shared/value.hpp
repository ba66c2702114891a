#pragma once

#include <atomic>
#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>

#include <echelon/comm/session.hpp>

namespace echelon::shared {

namespace detail {

/// A word in memory that ranks share.
class Cell {
 public:
  enum class Operation : std::uint8_t { load, store, exchange, compare_exchange, add_int, add_float, add_double };

  /// Collective. `bytes` of the word: 1, 2, 4 or 8; `initial` counts on the master.
  Cell(const comm::Session& session, std::uint8_t bytes, std::uint64_t initial);
  ~Cell();
  Cell(const Cell&) = delete;
  Cell& operator=(const Cell&) = delete;

  /// The word itself, on the master's node; nullptr elsewhere.
  [[nodiscard]] void* here() const noexcept { return here_; }
  /// What it was before; of compare_exchange `operand` is stored where `expected` was found.
  [[nodiscard]] std::uint64_t ask(Operation operation, std::uint64_t operand, std::uint64_t expected = 0);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  void* here_ = nullptr;
};

}  // namespace detail

/// Python's multiprocessing.Value, across the ranks of a job, with operations that are atomic by themselves: no update
/// is lost. `value.fetch_add(1)` is what `value += 1` is meant to be.
///
/// It lies in memory that the ranks of the master's node share: there an operation is the processor's own, and needs
/// nobody else. Ranks of other nodes ask by a message, which a thread of Echelon's own answers there: a round trip.
template <typename T>
class Value {
 public:
  static_assert(std::is_trivially_copyable_v<T> && std::has_single_bit(sizeof(T)) && sizeof(T) <= 8,
                "echelon: a Value holds a trivially copyable type of 1, 2, 4 or 8 bytes, which processors change "
                "atomically; for a larger one take an Array<T> of one element, and a Lock");
  static_assert(!std::is_pointer_v<T>, "echelon: an address means nothing to another rank");

  /// Collective; the master's `initial` counts.
  explicit Value(const comm::Session& session, T initial = {}) : cell_{session, sizeof(T), to_word(initial)} {}

  [[nodiscard]] T load() {
    if (T* here = word()) return std::atomic_ref<T>{*here}.load();
    return from_word(cell_.ask(Operation::load, 0));
  }
  void store(T value) {
    if (T* here = word()) return std::atomic_ref<T>{*here}.store(value);
    (void)cell_.ask(Operation::store, to_word(value));
  }
  /// Stores it, and returns what was there before.
  T exchange(T value) {
    if (T* here = word()) return std::atomic_ref<T>{*here}.exchange(value);
    return from_word(cell_.ask(Operation::exchange, to_word(value)));
  }
  /// Where `expected` is there, bit by bit, stores `desired`; otherwise false, and `expected` is what is there.
  bool compare_exchange(T& expected, T desired) {
    if (T* here = word()) return std::atomic_ref<T>{*here}.compare_exchange_strong(expected, desired);
    const std::uint64_t wanted = to_word(expected);
    const std::uint64_t found = cell_.ask(Operation::compare_exchange, to_word(desired), wanted);
    if (found == wanted) return true;
    expected = from_word(found);
    return false;
  }
  /// Adds, and returns what was there before; integers wrap round.
  T fetch_add(T summand) requires(std::integral<T> && !std::same_as<T, bool>) || std::floating_point<T> {
    if (T* here = word()) return std::atomic_ref<T>{*here}.fetch_add(summand);
    constexpr Operation add = std::integral<T>             ? Operation::add_int
                              : sizeof(T) == sizeof(float) ? Operation::add_float
                                                           : Operation::add_double;
    return from_word(cell_.ask(add, to_word(summand)));
  }

 private:
  using Operation = detail::Cell::Operation;

  [[nodiscard]] T* word() const noexcept { return static_cast<T*>(cell_.here()); }
  static std::uint64_t to_word(T value) noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, &value, sizeof value);
    return word;
  }
  static T from_word(std::uint64_t word) noexcept {
    T value;
    std::memcpy(&value, &word, sizeof value);
    return value;
  }

  detail::Cell cell_;
};

}  // namespace echelon::shared
