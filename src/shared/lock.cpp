#include <system_error>

#include <echelon/comm/backoff.hpp>
#include <echelon/comm/nodes.hpp>
#include <echelon/comm/roster.hpp>
#include <echelon/shared/lock.hpp>

#include "turns.hpp"

namespace echelon::shared {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int home = 0;

}  // namespace

struct Lock::Impl {
  explicit Impl(const comm::Session& of)
      : session{of},
        roster{comm::Roster::of(session)},
        nodes{comm::Nodes::of(session)},
        memory{session, nodes.is_here(home) ? Turns::bytes(session.size()) : 1},
        turns{memory.data(), session.size()} {
    if (session.rank() == home) Turns::prepare(memory.data(), session.size());
    session.barrier();
  }

  bool wait(Turns::Ticket ticket, detail::Until until) {
    comm::Backoff backoff{nodes.is_crowded()};
    while (!turns.is_granted(ticket)) {
      if (roster.has_losses()) {
        if (const auto rank = turns.holder_lost([&](int one) { return roster.is_lost(one); })) {
          (void)turns.give_up(session.rank(), ticket);
          throw roster.error(*rank < 0 ? roster.lost().front() : *rank, "it held the lock");
        }
      }
      if (until && Clock::now() >= *until && turns.give_up(session.rank(), ticket)) return false;
      backoff.pause();
    }
    return true;
  }

  const comm::Session& session;
  comm::Roster& roster;
  comm::Nodes& nodes;
  comm::SharedMemory memory;
  Turns turns;
  std::optional<Turns::Ticket> held;
};

Lock::Lock(const comm::Session& session) : impl_{std::make_unique<Impl>(session)} {}

Lock::~Lock() = default;

bool Lock::lock_until(detail::Until until) {
  if (impl_->held) {
    throw std::system_error{std::make_error_code(std::errc::resource_deadlock_would_occur),
                            "this rank holds the lock already"};
  }
  const Turns::Ticket ticket = impl_->turns.take(impl_->session.rank());
  if (!impl_->wait(ticket, until)) return false;
  impl_->held = ticket;
  return true;
}

void Lock::lock() { (void)lock_until(std::nullopt); }

bool Lock::try_lock() {
  if (!impl_->held) {
    impl_->held = impl_->turns.try_take(impl_->session.rank());
    return impl_->held.has_value();
  }
  return false;
}

void Lock::unlock() {
  if (!impl_->held) {
    throw std::system_error{std::make_error_code(std::errc::operation_not_permitted),
                            "this rank does not hold the lock"};
  }
  impl_->turns.release(*std::exchange(impl_->held, std::nullopt));
}

}  // namespace echelon::shared
