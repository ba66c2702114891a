#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace echelon::shared {

/// Who may go next, in memory that processes share: each takes a ticket and is granted its turn in the order of the
/// tickets. A rank has one ticket at a time, and may give it up while it waits. No MPI and no waiting.
///
/// An array lock (T. E. Anderson, IEEE TPDS 1(1), 1990): each ticket has a slot of its own to look at, of which there
/// are as many as ranks.
class Turns {
 public:
  using Ticket = std::uint64_t;

  [[nodiscard]] static std::uint64_t bytes(int ranks);
  /// Once, by one, before anyone else looks at the memory: bytes() of them, on the edge of a page.
  static void prepare(std::byte* memory, int ranks);
  Turns(std::byte* memory, int ranks);

  /// A place at the end of the line; the one that the rank has given up, where it is still in the line. The same object
  /// is asked for all that is a rank's.
  [[nodiscard]] Ticket take(int rank);
  /// Nothing where somebody holds the turn, or waits.
  [[nodiscard]] std::optional<Ticket> try_take(int rank);
  [[nodiscard]] bool is_granted(Ticket ticket) const noexcept;
  /// False: it has just been granted.
  [[nodiscard]] bool give_up(int rank, Ticket ticket);
  /// @pre it is granted
  void release(Ticket ticket) noexcept;

  /// Takes ranks that are gone out of the line, and says which one of them holds the turn; -1 where it is one that was
  /// killed in the middle of taking its ticket. Nothing where the line goes on.
  template <typename IsLost>
  [[nodiscard]] std::optional<int> holder_lost(IsLost is_lost);

 private:
  enum class State : std::uint64_t { waiting = 0, granted = 1, given_up = 2 };
  struct Slot;
  struct Memory;

  [[nodiscard]] static std::uint64_t word(Ticket ticket, State state) noexcept {
    return ticket << 2 | static_cast<std::uint64_t>(state);
  }
  [[nodiscard]] Slot& slot(Ticket ticket) const noexcept;
  /// Of the ticket; -1 where its owner has not put its name to it yet.
  [[nodiscard]] int owner(Ticket ticket) const noexcept;
  [[nodiscard]] Ticket end() const noexcept;
  [[nodiscard]] std::optional<State> state(Ticket ticket) const noexcept;
  bool change(Ticket ticket, State from, State to) noexcept;

  std::uint64_t ranks_;
  Memory& memory_;
  Slot* slots_;
  std::vector<std::optional<Ticket>> given_up_;  // by rank
};

template <typename IsLost>
std::optional<int> Turns::holder_lost(IsLost is_lost) {
  const Ticket last = end();
  for (Ticket ticket = last > ranks_ ? last - ranks_ : 0; ticket < last; ++ticket) {
    const auto its = state(ticket);
    if (!its) continue;  // long done
    const int rank = owner(ticket);
    if (*its == State::granted && (rank < 0 || is_lost(rank))) return rank;
    if (*its == State::waiting && rank >= 0 && is_lost(rank)) change(ticket, State::waiting, State::given_up);
  }
  return std::nullopt;
}

}  // namespace echelon::shared
