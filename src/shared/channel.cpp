#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

#include <echelon/base/error.hpp>
#include <echelon/comm/backoff.hpp>
#include <echelon/comm/collectives.hpp>
#include <echelon/comm/nodes.hpp>
#include <echelon/comm/roster.hpp>
#include <echelon/shared/channel.hpp>

#include "ring.hpp"

namespace echelon::shared::detail {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t most_items = std::uint64_t{1} << 24;

bool produces(Role role) { return role == Role::producer || role == Role::both; }
bool consumes(Role role) { return role == Role::consumer || role == Role::both; }

bool is_over(Until until) { return until && (*until == at_once || Clock::now() >= *until); }

/// Who has not finished yet, in memory that ranks share; then the ring.
struct Ends {
  struct Rank {
    std::atomic<bool> puts;
    std::atomic<bool> gets;
  };
  alignas(128) std::atomic<int> producers;
  std::atomic<int> consumers;
};

constexpr std::uint64_t aligned(std::uint64_t bytes) { return (bytes + 127) / 128 * 128; }

std::uint64_t ends_bytes(int ranks) {
  return aligned(sizeof(Ends) + static_cast<std::uint64_t>(ranks) * sizeof(Ends::Rank));
}

std::vector<Role> agree(const comm::Session& session, Role role, const Channel::Options& options) {
  std::vector<Role> roles = comm::all_gather(session, role);
  const std::string name = options.name;
  if (options.capacity < 1 || options.capacity > most_items) {
    throw base::UsageError("a " + name + " holds 1 to " + std::to_string(most_items) + " items, not " +
                           std::to_string(options.capacity));
  }
  if (std::ranges::none_of(roles, produces)) {
    throw base::UsageError("nobody puts anything into the " + name + ": give a rank Role::producer");
  }
  if (std::ranges::none_of(roles, consumes)) {
    throw base::UsageError("nobody takes anything out of the " + name + ": give a rank Role::consumer");
  }
  return roles;
}

}  // namespace

void check_ends(const comm::Session& session, int one, int other) {
  const auto is_rank = [&](int rank) { return rank >= 0 && rank < session.size(); };
  if (is_rank(one) && is_rank(other) && one != other) return;
  throw base::UsageError("a pipe has its ends in two ranks of the " + std::to_string(session.size()) + ", not in " +
                         std::to_string(one) + " and " + std::to_string(other));
}

struct Channel::Impl {
  Impl(const comm::Session& of, Role role, const Options& with)
      : session{of},
        options{with},
        roster{comm::Roster::of(session)},
        nodes{comm::Nodes::of(session)},
        roles{agree(session, role, options)},
        home{first_consumer()},
        is_home_here{nodes.is_here(home)},
        memory{session, is_home_here ? ends_bytes(session.size()) + Ring::bytes(ring_options()) : 1},
        ends{*reinterpret_cast<Ends*>(memory.data())},
        rank_ends{reinterpret_cast<Ends::Rank*>(memory.data() + sizeof(Ends))},
        ring{memory.data() + ends_bytes(session.size()), ring_options(), hooks()} {
    if (session.rank() == home) {
      for (std::size_t rank = 0; rank < roles.size(); ++rank) {
        rank_ends[rank].puts = produces(roles[rank]);
        rank_ends[rank].gets = consumes(roles[rank]);
      }
      ends.producers = static_cast<int>(std::ranges::count_if(roles, produces));
      ends.consumers = static_cast<int>(std::ranges::count_if(roles, consumes));
    }
    session.barrier();
  }

  [[nodiscard]] int first_consumer() const {
    return nodes.leader(static_cast<int>(std::ranges::find_if(roles, consumes) - roles.begin()));
  }
  [[nodiscard]] Ring::Options ring_options() const { return {options.capacity, options.typical_bytes}; }
  [[nodiscard]] Ring::Hooks hooks() {
    return {
        .self = session.rank(),
        .yields_at_once = nodes.is_crowded(),
        .store = [this](std::span<const std::byte> bytes) { return nodes.store(bytes); },
        .take = [this](int from, std::uint64_t where, std::span<std::byte> bytes) { nodes.take(from, where, bytes); },
        .check =
            [this](int holder) {
              if (roster.is_lost(holder)) throw roster.error(holder, "it was in the middle of a put or a get");
            }};
  }

  [[nodiscard]] Ends::Rank& of_rank(int rank) const { return rank_ends[static_cast<std::size_t>(rank)]; }

  /// A rank that was lost before it had finished.
  template <typename Unfinished>
  [[nodiscard]] std::optional<int> missing(Unfinished unfinished) const {
    if (!roster.has_losses()) return std::nullopt;
    for (const int rank : roster.lost()) {
      if (unfinished(of_rank(rank))) return rank;
    }
    return std::nullopt;
  }
  void check_losses() const {
    if (options.ends_with_producers) return;
    if (const auto rank = missing([](const Ends::Rank& its) { return its.puts || its.gets; })) {
      throw roster.error(*rank, of_rank(*rank).puts ? "it had not closed its end of the queue"
                                                    : "items that it had taken out of the queue are lost with it");
    }
  }

  // ---- for ranks of the home's node ----

  [[nodiscard]] bool takers_are_gone() const {
    if (ends.consumers.load(std::memory_order_acquire) == 0) return true;
    return options.ends_with_producers && missing([](const Ends::Rank& its) { return its.gets.load(); });
  }
  [[nodiscard]] bool givers_are_gone() const {
    if (ends.producers.load(std::memory_order_acquire) == 0) return true;
    return options.ends_with_producers && missing([](const Ends::Rank& its) { return its.puts.load(); });
  }

  bool put_here(std::span<const std::byte> item, Until until) {
    comm::Backoff backoff{nodes.is_crowded()};
    for (;;) {
      if (takers_are_gone())
        throw Closed("nobody takes anything out of the " + std::string{options.name} + " any more");
      check_losses();
      if (!ring.looks_full() && ring.try_put(item)) return true;
      if (is_over(until)) return false;
      backoff.pause();
    }
  }

  Got get_here(comm::Bytes& item, Until until) {
    if (ring.try_get(item)) return Got::item;
    comm::Backoff backoff{nodes.is_crowded()};
    for (;;) {
      // Who is gone first: what they put before is there then.
      const bool is_end = givers_are_gone();
      if ((is_end || !ring.looks_empty()) && ring.try_get(item)) return Got::item;
      check_losses();
      if (is_end) return Got::end;
      if (is_over(until)) return Got::nothing;
      backoff.pause();
    }
  }

  void close_put_here(int rank) {
    if (of_rank(rank).puts.exchange(false)) ends.producers.fetch_sub(1, std::memory_order_release);
  }
  void close_get_here(int rank) {
    if (of_rank(rank).gets.exchange(false)) ends.consumers.fetch_sub(1, std::memory_order_release);
  }

  const comm::Session& session;
  const Options options;
  comm::Roster& roster;
  comm::Nodes& nodes;
  const std::vector<Role> roles;
  const int home;
  const bool is_home_here;
  comm::SharedMemory memory;
  Ends& ends;
  Ends::Rank* rank_ends;
  Ring ring;
  bool may_put = true;
  bool may_get = true;
};

Channel::Channel(const comm::Session& session, Role role, const Options& options)
    : impl_{std::make_unique<Impl>(session, role, options)} {
  impl_->may_put = produces(role);
  impl_->may_get = consumes(role);
}

Channel::~Channel() {
  close_put();
  close_get();
}

bool Channel::put(comm::Packer& item, Until until) {
  if (!impl_->may_put)
    throw Closed("this rank does not put anything into the " + std::string{impl_->options.name} +
                 ", or not any more: it is no producer, or has closed");
  return impl_->put_here(item.view(), until);
}

Channel::Got Channel::get(comm::Bytes& item, Until until) {
  if (!impl_->may_get) return Got::end;
  const Got got = impl_->get_here(item, until);
  if (got == Got::end) close_get();
  return got;
}

void Channel::close_put() {
  if (std::exchange(impl_->may_put, false)) impl_->close_put_here(impl_->session.rank());
}

void Channel::close_get() {
  if (std::exchange(impl_->may_get, false)) impl_->close_get_here(impl_->session.rank());
}

}  // namespace echelon::shared::detail
