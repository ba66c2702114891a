#include "turns.hpp"

#include <utility>

#include "apart.hpp"

namespace echelon::shared {
namespace {

constexpr int rank_bits = 24;

constexpr std::uint64_t signature(std::uint64_t ticket, int rank) noexcept {
  return ticket << rank_bits | static_cast<std::uint64_t>(rank);
}

}  // namespace

struct Turns::Slot {
  alignas(apart) std::atomic<std::uint64_t> state;  // word() of the ticket that it stands for now
  std::atomic<std::uint64_t> owner;                 // the ticket that was taken last, and the rank that took it
};

struct Turns::Taking {
  alignas(apart) std::atomic<bool> now;
};

struct Turns::Memory {
  alignas(apart) std::atomic<Ticket> next;
};

std::uint64_t Turns::bytes(int ranks) {
  return sizeof(Memory) + static_cast<std::uint64_t>(ranks) * (sizeof(Slot) + sizeof(Taking));
}

void Turns::prepare(std::byte* memory, int ranks) {
  Turns turns{memory, ranks};
  turns.memory_.next.store(0);
  for (Ticket ticket = 0; ticket < turns.ranks_; ++ticket) {
    turns.slot(ticket).state.store(word(ticket, ticket == 0 ? State::granted : State::waiting));
    turns.slot(ticket).owner.store(~std::uint64_t{0});
  }
}

Turns::Turns(std::byte* memory, int ranks)
    : ranks_{static_cast<std::uint64_t>(ranks)},
      memory_{*reinterpret_cast<Memory*>(memory)},
      slots_{reinterpret_cast<Slot*>(memory + sizeof(Memory))},
      taking_{reinterpret_cast<Taking*>(memory + sizeof(Memory) + ranks_ * sizeof(Slot))},
      given_up_(ranks_) {}

Turns::Slot& Turns::slot(Ticket ticket) const noexcept { return slots_[ticket % ranks_]; }

Turns::Ticket Turns::end() const noexcept { return memory_.next.load(std::memory_order_acquire); }

bool Turns::change(Ticket ticket, State from, State to) noexcept {
  std::uint64_t expected = word(ticket, from);
  return slot(ticket).state.compare_exchange_strong(expected, word(ticket, to), std::memory_order_acq_rel);
}

std::optional<Turns::State> Turns::state(Ticket ticket) const noexcept {
  const std::uint64_t now = slot(ticket).state.load(std::memory_order_acquire);
  if (now >> 2 != ticket) return std::nullopt;
  return static_cast<State>(now & 3);
}

std::atomic<bool>& Turns::is_taking(int rank) const noexcept { return taking_[rank].now; }

std::optional<int> Turns::owner(Ticket ticket) const noexcept {
  const std::uint64_t last = slot(ticket).owner.load(std::memory_order_acquire);
  const auto rank = static_cast<int>(last & ((1U << rank_bits) - 1));
  if (last != signature(ticket, rank)) return std::nullopt;
  return rank;
}

void Turns::set_owner(Ticket ticket, int rank) noexcept {
  slot(ticket).owner.store(signature(ticket, rank), std::memory_order_release);
}

Turns::Ticket Turns::take(int rank) {
  auto& before = given_up_[static_cast<std::size_t>(rank)];
  if (before) {
    const Ticket ticket = *std::exchange(before, std::nullopt);
    if (change(ticket, State::given_up, State::waiting)) return ticket;
  }
  is_taking(rank).store(true, std::memory_order_relaxed);  // whoever sees the ticket taken sees this as well
  const Ticket ticket = memory_.next.fetch_add(1, std::memory_order_acq_rel);
  set_owner(ticket, rank);
  is_taking(rank).store(false, std::memory_order_release);
  return ticket;
}

std::optional<Turns::Ticket> Turns::try_take(int rank) {
  auto& before = given_up_[static_cast<std::size_t>(rank)];
  if (before && state(*before) == State::given_up) return std::nullopt;  // it is still in the line: somebody is before
  before = std::nullopt;
  Ticket ticket = end();
  if (state(ticket) != State::granted) return std::nullopt;
  is_taking(rank).store(true, std::memory_order_relaxed);
  const bool is_mine = memory_.next.compare_exchange_strong(ticket, ticket + 1, std::memory_order_acq_rel);
  if (is_mine) set_owner(ticket, rank);
  is_taking(rank).store(false, std::memory_order_release);
  if (!is_mine) return std::nullopt;
  return ticket;
}

bool Turns::is_granted(Ticket ticket) const noexcept {
  return slot(ticket).state.load(std::memory_order_acquire) == word(ticket, State::granted);
}

bool Turns::give_up(int rank, Ticket ticket) {
  if (!change(ticket, State::waiting, State::given_up)) return false;
  given_up_[static_cast<std::size_t>(rank)] = ticket;
  return true;
}

void Turns::release(Ticket ticket) noexcept {
  // Each slot that is left stands for its next ticket before the turn goes on to whoever may take that.
  slot(ticket).state.store(word(ticket + ranks_, State::waiting), std::memory_order_release);
  pass_on(ticket + 1);
}

void Turns::pass_on(Ticket next) noexcept {
  for (;;) {
    if (change(next, State::waiting, State::granted)) return;
    std::uint64_t now = slot(next).state.load(std::memory_order_acquire);
    if (now >> 2 != next) {
      next = (now >> 2) - ranks_ + 1;  // somebody else has passed it on already
    } else if (now == word(next, State::granted)) {
      return;
    } else if (now == word(next, State::given_up)) {
      // Unless its owner takes it back right now.
      if (slot(next).state.compare_exchange_strong(now, word(next + ranks_, State::waiting))) ++next;
    }
  }
}

}  // namespace echelon::shared
