#include <exception>
#include <map>
#include <system_error>
#include <utility>

#include <echelon/comm/backoff.hpp>
#include <echelon/comm/collective.hpp>
#include <echelon/comm/nodes.hpp>
#include <echelon/comm/requests.hpp>
#include <echelon/comm/roster.hpp>
#include <echelon/shared/lock.hpp>

#include "turns.hpp"

namespace echelon::shared {
namespace {

using Clock = std::chrono::steady_clock;
using Ticket = Turns::Ticket;

constexpr int home = 0;
enum class Ask : std::uint8_t { lock, try_lock, unlock };

}  // namespace

struct Lock::Impl {
  explicit Impl(const comm::Session& of)
      : session{of},
        roster{comm::Roster::of(session)},
        nodes{comm::Nodes::of(session)},
        memory{session, nodes.is_here(home) ? Turns::bytes(session.size()) : 1},
        turns{memory.data(), session.size()} {
    if (session.rank() == home) Turns::prepare(memory.data(), session.size());
    if (!nodes.is_one()) {
      object.emplace(session, [this](int from, comm::Unpacker request, comm::Packer& answer, bool last) {
        return serve(from, request, answer, last);
      });
    }
    session.barrier();
  }

  // ---- on the home's node ----

  /// Nothing where somebody else has the turn; throws where that one is gone.
  std::optional<Ticket> try_take(int rank) {
    auto ticket = turns.try_take(rank);
    if (ticket || !roster.has_losses()) return ticket;
    if (const auto holder = turns.holder_lost([&](int one) { return roster.is_lost(one); })) {
      throw roster.error(*holder, "it held the lock");
    }
    if (roster.is_master_lost()) throw roster.error(0, "the run ends with it");
    return turns.try_take(rank);  // who is gone is out of the line now
  }

  /// Throws where the rank that has the turn is gone, after this one has left the line.
  void check_holder(int rank, Ticket ticket) {
    if (!roster.has_losses()) return;
    const auto holder = turns.holder_lost([&](int one) { return roster.is_lost(one); });
    if ((!holder && !roster.is_master_lost()) || !turns.give_up(rank, ticket)) return;
    if (!holder) throw roster.error(0, "the run ends with it");
    throw roster.error(*holder, "it held the lock");
  }

  std::optional<Ticket> take(detail::Until until) {
    const int self = session.rank();
    const Ticket ticket = turns.take(self);
    comm::Backoff backoff{nodes.is_crowded()};
    while (!turns.is_granted(ticket)) {
      check_holder(self, ticket);
      if (until && Clock::now() >= *until && turns.give_up(self, ticket)) return std::nullopt;
      if (object) object->help();
      backoff.pause();
    }
    return ticket;
  }

  /// For a rank of another node; its ticket is kept here.
  bool serve(int from, comm::Unpacker request, comm::Packer& answer, bool last) {
    switch (request.get<Ask>()) {
      case Ask::unlock:
        turns.release(tickets.at(from));
        tickets.erase(from);
        return true;
      case Ask::try_lock: {
        const auto ticket = try_take(from);
        if (ticket) tickets.emplace(from, *ticket);
        answer.put(ticket.has_value());
        return true;
      }
      case Ask::lock: {
        if (!tickets.contains(from)) tickets.emplace(from, turns.take(from));
        const Ticket ticket = tickets.at(from);
        if (!turns.is_granted(ticket)) {
          try {
            check_holder(from, ticket);
          } catch (...) {
            tickets.erase(from);
            throw;
          }
          if (!last) return false;
          if (turns.give_up(from, ticket)) {
            tickets.erase(from);
            answer.put(false);
            return true;
          }
        }
        answer.put(true);
        return true;
      }
    }
    return true;
  }

  // ---- elsewhere ----

  bool ask(Ask what, detail::Until until = std::nullopt) {
    comm::Packer request = object->request();
    request.put(what);
    const auto answer = object->ask(home, request, until);
    return what != Ask::unlock && answer && comm::Unpacker{*answer}.get<bool>();
  }

  const int exceptions_at_start = std::uncaught_exceptions();
  const comm::Session& session;
  comm::Roster& roster;
  comm::Nodes& nodes;
  comm::SharedMemory memory;
  Turns turns;  // only of use on the home's node
  std::map<int, Ticket> tickets;
  std::optional<Ticket> held;  // by this rank; elsewhere its value says nothing
  std::optional<comm::Requests::Object> object;
};

Lock::Lock(const comm::Session& session) {
  const comm::Collective call{session, comm::Call::lock};
  impl_ = std::make_unique<Impl>(session);
}

Lock::~Lock() {
  // What an exception leaves behind may be half done: this rank's failure ends the run, and nobody else goes on with
  // it.
  if (impl_ && impl_->held && std::uncaught_exceptions() == impl_->exceptions_at_start) {
    try {
      unlock();      // or others would wait for it for ever
    } catch (...) {  // who is left learns of it by what is lost
    }
  }
  if (impl_ && impl_->object) impl_->object->retire(std::move(impl_));
}

bool Lock::lock_until(detail::Until until) {
  if (impl_->held) {
    throw std::system_error{std::make_error_code(std::errc::resource_deadlock_would_occur),
                            "this rank holds the lock already"};
  }
  if (impl_->nodes.is_here(home)) {
    impl_->held = impl_->take(until);
  } else if (impl_->ask(Ask::lock, until)) {
    impl_->held = Ticket{};
  }
  return impl_->held.has_value();
}

void Lock::lock() { (void)lock_until(std::nullopt); }

bool Lock::try_lock() {
  if (impl_->held) return false;
  if (impl_->nodes.is_here(home)) {
    impl_->held = impl_->try_take(impl_->session.rank());
  } else if (impl_->ask(Ask::try_lock)) {
    impl_->held = Ticket{};
  }
  return impl_->held.has_value();
}

void Lock::unlock() {
  if (!impl_->held) {
    throw std::system_error{std::make_error_code(std::errc::operation_not_permitted),
                            "this rank does not hold the lock"};
  }
  const Ticket ticket = *std::exchange(impl_->held, std::nullopt);
  if (impl_->nodes.is_here(home)) {
    impl_->turns.release(ticket);
    return;
  }
  try {
    impl_->ask(Ask::unlock);
  } catch (const comm::RankLost&) {  // lock_guard's destructor must not throw, and who locks next learns of it
  }
}

}  // namespace echelon::shared
