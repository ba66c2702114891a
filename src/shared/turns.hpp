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

  /// Takes ranks that are gone out of the line, and says which one of them holds the turn. Nothing where the line goes
  /// on.
  template <typename IsLost>
  [[nodiscard]] std::optional<int> holder_lost(IsLost is_lost);

 private:
  enum class State : std::uint64_t { waiting = 0, granted = 1, given_up = 2 };
  struct Slot;
  struct Taking;
  struct Memory;

  [[nodiscard]] static std::uint64_t word(Ticket ticket, State state) noexcept {
    return ticket << 2 | static_cast<std::uint64_t>(state);
  }
  [[nodiscard]] Slot& slot(Ticket ticket) const noexcept;
  /// Nothing where its owner has not put its name to it yet.
  [[nodiscard]] std::optional<int> owner(Ticket ticket) const noexcept;
  void set_owner(Ticket ticket, int rank) noexcept;
  /// It may have a ticket without its name on it.
  [[nodiscard]] std::atomic<bool>& is_taking(int rank) const noexcept;
  /// Grants the first ticket from `next` on that is still in the line; all before `next` have left it. Anyone may do so
  /// at any time.
  void pass_on(Ticket next) noexcept;
  [[nodiscard]] Ticket end() const noexcept;
  [[nodiscard]] std::optional<State> state(Ticket ticket) const noexcept;
  bool change(Ticket ticket, State from, State to) noexcept;

  std::uint64_t ranks_;
  Memory& memory_;
  Slot* slots_;
  Taking* taking_;                               // by rank
  std::vector<std::optional<Ticket>> given_up_;  // by rank
};

template <typename IsLost>
std::optional<int> Turns::holder_lost(IsLost is_lost) {
  const Ticket last = end();
  // Whose is a ticket without a name? That of a rank that died in the middle of taking it, but only where no living one
  // is just about to put its name there. Looked at after end() and before the names, for what was taken before end().
  std::optional<int> nameless;
  bool will_be_named = false;
  for (int rank = 0; rank < static_cast<int>(ranks_); ++rank) {
    if (!is_taking(rank).load(std::memory_order_acquire)) continue;
    if (is_lost(rank)) {
      nameless = rank;
    } else {
      will_be_named = true;
    }
  }
  if (will_be_named) nameless = std::nullopt;
  const Ticket first = last > ranks_ ? last - ranks_ : 0;  // of a rank that may still be in the line
  for (Ticket ticket = first; ticket < last; ++ticket) {
    const auto name = owner(ticket);  // before the state: while that is the ticket's, so is the name
    const auto rank = name ? name : nameless;
    if (!rank || !is_lost(*rank)) continue;
    if (state(ticket) == State::granted) return rank;
    change(ticket, State::waiting, State::given_up);
  }
  pass_on(first);  // in case that the one who was to do so died before
  return std::nullopt;
}

}  // namespace echelon::shared
