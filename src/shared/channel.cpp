#include <algorithm>
#include <atomic>
#include <exception>
#include <map>
#include <string>
#include <utility>

#include <echelon/base/error.hpp>
#include <echelon/comm/backoff.hpp>
#include <echelon/comm/collectives.hpp>
#include <echelon/comm/nodes.hpp>
#include <echelon/comm/requests.hpp>
#include <echelon/comm/roster.hpp>
#include <echelon/shared/channel.hpp>

#include "ring.hpp"

namespace echelon::shared::detail {
namespace {

using Clock = std::chrono::steady_clock;
using Got = Channel::Got;

constexpr std::uint64_t most_items = std::uint64_t{1} << 24;

bool produces(Role role) { return role == Role::producer || role == Role::both; }
bool consumes(Role role) { return role == Role::consumer || role == Role::both; }

bool is_over(Until until) { return until && (*until == at_once || Clock::now() >= *until); }

std::vector<Role> agree(const comm::Session& session, Role role, const Channel::Options& options) {
  struct Said {
    Role role;
    std::uint64_t capacity;
  };
  const std::vector<Said> said = comm::all_gather(session, Said{role, options.capacity});
  std::vector<Role> roles;
  for (const Said& one : said) roles.push_back(one.role);
  const std::string name = options.name;
  if (options.capacity < 1 || options.capacity > most_items) {
    throw base::UsageError("a " + name + " holds 1 to " + std::to_string(most_items) + " items, not " +
                           std::to_string(options.capacity));
  }
  if (std::ranges::any_of(said, [&](const Said& one) { return one.capacity != options.capacity; })) {
    throw base::UsageError("the ranks do not agree on the capacity of a " + name);
  }
  if (std::ranges::none_of(roles, produces)) {
    throw base::UsageError("nobody puts anything into the " + name + ": give a rank Role::producer");
  }
  if (std::ranges::none_of(roles, consumes)) {
    throw base::UsageError("nobody takes anything out of the " + name + ": give a rank Role::consumer");
  }
  return roles;
}

/// The ring and who has not finished with it, in memory that the ranks of one node share.
class Hub {
 public:
  Hub(const comm::Session& session, const Channel::Options& options, const std::vector<Role>& roles, int home)
      : options_{options},
        roster_{comm::Roster::of(session)},
        nodes_{comm::Nodes::of(session)},
        memory_{session, nodes_.is_here(home) ? ends_bytes(session.size()) + Ring::bytes(ring_options()) : 1},
        ends_{*reinterpret_cast<Ends*>(memory_.data())},
        ranks_{reinterpret_cast<Rank*>(memory_.data() + sizeof(Ends))},
        ranks_known_{roles.size()},
        ring_{memory_.data() + ends_bytes(session.size()), ring_options(), hooks(session.rank())} {
    if (session.rank() != home) return;
    for (std::size_t rank = 0; rank < roles.size(); ++rank) {
      ranks_[rank].puts = produces(roles[rank]);
      ranks_[rank].gets = consumes(roles[rank]);
    }
    ends_.producers = static_cast<int>(std::ranges::count_if(roles, produces));
    ends_.consumers = static_cast<int>(std::ranges::count_if(roles, consumes));
  }

  /// False: it is full. `again`: it was so before, and others are not to be kept out just to see that it still is.
  bool try_put(std::span<const std::byte> item, bool again = false) {
    if (takers_are_gone()) throw Closed("nobody takes anything out of the " + std::string{options_.name} + " any more");
    check_losses(false);
    return !(again && ring_.looks_full()) && ring_.try_put(item);
  }
  Got try_get(comm::Bytes& item) {
    if (ring_.try_get(item)) return Got::item;
    // Who is gone first: what they put before is there then.
    const bool is_end = givers_are_gone();
    if ((is_end || !ring_.looks_empty()) && ring_.try_get(item)) return Got::item;
    check_losses(is_end);
    return is_end ? Got::end : Got::nothing;
  }

  // The rank is counted out before it is marked: one that is killed in between counts as lost before it had finished.
  void close_put(int rank) {
    if (of(rank).puts) ends_.producers.fetch_sub(1);
    of(rank).puts = false;
    drain();
  }
  void close_get(int rank) {
    if (of(rank).gets) ends_.consumers.fetch_sub(1);
    of(rank).gets = false;
    drain();
  }
  /// It leaves in the middle, by an exception.
  void fail(int rank) {
    if (options_.ends_with_producers) {
      close_put(rank);
      close_get(rank);
    } else if (of(rank).puts || of(rank).gets) {
      of(rank).failed = true;
      ends_.failures.fetch_add(1);
    }
  }

  /// Nobody else takes what one consumer holds before it is wanted.
  [[nodiscard]] bool has_one_taker() const { return ends_.consumers.load() == 1; }

 private:
  struct Rank {
    std::atomic<bool> puts;
    std::atomic<bool> gets;
    std::atomic<bool> failed;
  };
  struct Ends {
    alignas(128) std::atomic<int> producers;
    std::atomic<int> consumers;
    std::atomic<int> failures;
  };

  static std::uint64_t ends_bytes(int ranks) {
    return (sizeof(Ends) + static_cast<std::uint64_t>(ranks) * sizeof(Rank) + 127) / 128 * 128;
  }
  [[nodiscard]] Ring::Options ring_options() const { return {options_.capacity, options_.typical_bytes}; }
  [[nodiscard]] Ring::Hooks hooks(int self) {
    return {
        .self = self,
        .yields_at_once = nodes_.is_crowded(),
        .store = [this](std::span<const std::byte> bytes) { return nodes_.store(bytes); },
        .take = [this](int from, std::uint64_t where, std::span<std::byte> bytes) { nodes_.take(from, where, bytes); },
        .check =
            [this](int holder) {
              if (roster_.is_lost(holder)) throw roster_.error(holder, "it was in the middle of a put or a get");
            }};
  }
  [[nodiscard]] Rank& of(int rank) const { return ranks_[static_cast<std::size_t>(rank)]; }

  /// The last to close takes out what nobody wants: some of it may lie elsewhere, and would stay there.
  void drain() {
    if (ends_.producers.load() > 0 || ends_.consumers.load() > 0) return;
    for (comm::Bytes item; ring_.try_get(item);) continue;
  }
  /// A rank that was lost before it had finished.
  template <typename Unfinished>
  [[nodiscard]] std::optional<int> missing(Unfinished unfinished) const {
    if (!roster_.has_losses()) return std::nullopt;
    for (const int rank : roster_.lost()) {
      if (unfinished(of(rank))) return rank;
    }
    return std::nullopt;
  }
  void check_failures() const {
    if (ends_.failures.load(std::memory_order_relaxed) == 0) return;
    for (std::size_t rank = 0; rank < ranks_known_; ++rank) {
      if (ranks_[rank].failed) {
        throw roster_.error(static_cast<int>(rank), "an exception took it out of the queue's scope");
      }
    }
  }
  void check_losses(bool is_end) const {
    if (!roster_.has_losses()) return check_failures();
    if (options_.ends_with_producers) {
      if (!is_end && roster_.is_master_lost()) throw roster_.error(0, "the run ends with it");
      return;
    }
    if (const auto rank = missing([](const Rank& its) { return its.puts || its.gets; })) {
      throw roster_.error(*rank, of(*rank).puts ? "it had not closed its end of the queue"
                                                : "items that it had taken out of the queue are lost with it");
    }
    if (roster_.is_master_lost()) throw roster_.error(0, "the run ends with it");
    check_failures();
  }
  [[nodiscard]] bool takers_are_gone() const {
    if (ends_.consumers.load(std::memory_order_acquire) == 0) return true;
    return options_.ends_with_producers && missing([](const Rank& its) { return its.gets.load(); });
  }
  [[nodiscard]] bool givers_are_gone() const {
    if (ends_.producers.load(std::memory_order_acquire) == 0) return true;
    return options_.ends_with_producers && missing([](const Rank& its) { return its.puts.load(); });
  }

  const Channel::Options options_;
  comm::Roster& roster_;
  comm::Nodes& nodes_;
  comm::SharedMemory memory_;
  Ends& ends_;
  Rank* ranks_;
  std::size_t ranks_known_;
  Ring ring_;
};

/// What ranks of other nodes ask of the hub.
enum class Ask : std::uint8_t { put, try_put, get, try_get, close_put, close_get, fail };

/// Items one after the other, each after its length.
void pack(comm::Packer& to, std::span<const std::byte> item) {
  to.put(std::uint64_t{item.size()});
  to.bytes(item.data(), item.size());
}
std::span<const std::byte> unpack(comm::Unpacker& from) { return from.bytes(from.get<std::uint64_t>()); }

/// At the home: answers what other nodes' ranks ask.
class Clerk {
 public:
  explicit Clerk(Hub& hub) : hub_{hub} {}

  bool answer(int from, comm::Unpacker request, comm::Packer& to, bool last) {
    switch (const auto what = request.get<Ask>()) {
      case Ask::put:
      case Ask::try_put: return put(from, request, to, last || what == Ask::try_put);
      case Ask::get:
      case Ask::try_get: return get(from, request, to, last || what == Ask::try_get);
      case Ask::close_put: hub_.close_put(from); return true;
      case Ask::close_get: hub_.close_get(from); return true;
      case Ask::fail: hub_.fail(from); return true;
    }
    return true;
  }

 private:
  /// Of a request that is not all in yet.
  struct Progress {
    std::uint64_t items = 0;
    std::size_t bytes = 0;
  };

  /// Answered when all are in, with how many that are.
  bool put(int from, comm::Unpacker request, comm::Packer& to, bool last) {
    const auto count = request.get<std::uint64_t>();
    Progress& done = done_[from];
    (void)request.bytes(done.bytes);
    try {
      while (done.items < count) {
        const std::size_t before = request.rest().size();
        if (!hub_.try_put(unpack(request))) {
          if (!last) return false;
          break;
        }
        ++done.items;
        done.bytes += before - request.rest().size();
      }
    } catch (...) {
      done = {};
      throw;
    }
    to.put(std::exchange(done, {}).items);
    return true;
  }

  /// Answered with at least one item, or at the end, or at the last with none.
  bool get(int from, comm::Unpacker request, comm::Packer& to, bool last) {
    constexpr std::size_t most_bytes = 256 << 10;
    const auto asked_for = request.get<std::uint64_t>();
    const std::uint64_t most = hub_.has_one_taker() ? asked_for : 1;
    const std::size_t head = to.size();
    std::uint64_t count = 0;
    to.put(Got::nothing);
    to.put(count);
    Got got = Got::item;
    while (count < most && to.size() < most_bytes) {
      try {
        got = hub_.try_get(item_);
      } catch (...) {
        if (count == 0) throw;
        break;  // what was taken is given first; the next one asks again
      }
      if (got != Got::item) break;
      pack(to, item_);
      ++count;
    }
    if (count == 0 && got == Got::nothing && !last) return false;
    if (count == 0 && got == Got::end) hub_.close_get(from);
    to.patch(head, count > 0 ? Got::item : got);
    to.patch(head + sizeof(Got), count);
    return true;
  }

  Hub& hub_;
  std::map<int, Progress> done_;
  comm::Bytes item_;
};

/// On a rank of another node: sends what is put there, and fetches what is got from there.
class Branch {
 public:
  Branch(comm::Requests::Object& object, const Channel::Options& options, int home, bool yields_at_once)
      : object_{object},
        capacity_{options.capacity},
        home_{home},
        yields_at_once_{yields_at_once},
        outbox_{object.request()} {
    clear_outbox();
  }

  bool put(std::span<const std::byte> item, Until until) {
    if (until && *until == at_once) return try_put(item);
    comm::Backoff backoff{yields_at_once_};
    for (;;) {
      {
        const auto lock = object_.lock();
        settle();
        if (!sending_.token || in_message_ + in_outbox_ < capacity_) {
          pack(outbox_, item);
          ++in_outbox_;
          if (!sending_.token) send_outbox();
          return true;
        }
        object_.poll();
      }
      if (is_over(until)) return false;
      backoff.pause();
    }
  }

  Got get(comm::Bytes& item, Until until) {
    if (in_inbox_ == 0) {
      comm::Packer request = object_.request();
      request.put(until && *until == at_once ? Ask::try_get : Ask::get);
      request.put(batch_);
      auto answer = object_.ask(home_, request, until && *until == at_once ? std::nullopt : until);
      if (!answer) return Got::nothing;
      inbox_ = std::move(*answer);
      inbox_rest_ = comm::Unpacker{inbox_};
      const Got got = inbox_rest_.get<Got>();
      in_inbox_ = inbox_rest_.get<std::uint64_t>();
      // As many together as come while the last ones are on their way.
      constexpr std::uint64_t most = 1024;
      batch_ = in_inbox_ >= batch_ ? std::min(most, 2 * batch_) : std::max<std::uint64_t>(1, in_inbox_);
      if (got != Got::item) return got;
    }
    const auto bytes = unpack(inbox_rest_);
    item.assign(bytes.begin(), bytes.end());
    --in_inbox_;
    return Got::item;
  }

  /// What is on its way gets in before. Where something was wrong with that, it is closed nonetheless, and thrown.
  void close_put() {
    comm::Backoff backoff{yields_at_once_};
    for (;; backoff.pause()) {
      const auto lock = object_.lock();
      follow_up();
      if (!sending_.token) break;
      object_.poll();
    }
    close(Ask::close_put);
    if (failure_) std::rethrow_exception(failure_);
  }
  /// What is on its way is let go.
  void fail() {
    {
      const auto lock = object_.lock();
      object_.forget(std::exchange(sending_, {}));
    }
    close(Ask::fail);
  }
  void close_get() { close(Ask::close_get); }

 private:
  // ---- with the lock held ----

  void clear_outbox() {
    outbox_ = object_.request();
    outbox_.put(Ask::put);
    outbox_.put(std::uint64_t{0});
    in_outbox_ = 0;
  }
  void send_outbox() {
    outbox_.patch(object_.request().size() + sizeof(Ask), in_outbox_);
    sending_ = object_.send(home_, outbox_, [this] { follow_up(); });
    in_message_ = in_outbox_;
    clear_outbox();
  }
  /// Where the last message was answered, the next goes out.
  void follow_up() noexcept {
    try {
      if (!sending_.token || !object_.answer(sending_)) return;
      sending_ = {};
      if (in_outbox_ > 0) send_outbox();
    } catch (...) {
      sending_ = {};
      failure_ = std::current_exception();
    }
  }
  /// The same; throws what was wrong with the last one, now and ever after.
  void settle() {
    follow_up();
    if (failure_) std::rethrow_exception(failure_);
  }

  // ---- without ----

  bool try_put(std::span<const std::byte> item) {
    {
      const auto lock = object_.lock();
      object_.poll();
      settle();
      if (sending_.token) return false;  // what was put before is still waiting to get in
    }
    comm::Packer request = object_.request();
    request.put(Ask::try_put);
    request.put(std::uint64_t{1});
    pack(request, item);
    return read<std::uint64_t>(object_.ask(home_, request)) == 1;
  }

  void close(Ask what) {
    comm::Packer request = object_.request();
    request.put(what);
    (void)object_.ask(home_, request);
  }

  template <typename T>
  static T read(const std::optional<comm::Bytes>& answer) {
    return comm::Unpacker{*answer}.template get<T>();
  }

  comm::Requests::Object& object_;
  const std::uint64_t capacity_;
  const int home_;
  const bool yields_at_once_;
  comm::Packer outbox_;  // what is to follow the message that is on its way
  std::uint64_t in_outbox_ = 0;
  std::uint64_t in_message_ = 0;  // that is on its way
  comm::Requests::Call sending_;
  std::exception_ptr failure_;
  comm::Bytes inbox_;
  comm::Unpacker inbox_rest_{{}};
  std::uint64_t in_inbox_ = 0;
  std::uint64_t batch_ = 1;
};

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
        home{nodes.leader(static_cast<int>(std::ranges::find_if(roles, consumes) - roles.begin()))},
        hub{session, options, roles, home},
        clerk{hub},
        may_put{produces(role)},
        may_get{consumes(role)} {
    if (!nodes.is_one()) {
      object.emplace(session, [this](int from, comm::Unpacker request, comm::Packer& answer, bool last) {
        return clerk.answer(from, request, answer, last);
      });
    }
    if (!nodes.is_here(home)) branch.emplace(*object, options, home, nodes.is_crowded());
    session.barrier();
  }

  /// As get() on the home's node.
  Got get_here(comm::Bytes& item, Until until) {
    Got got = hub.try_get(item);
    if (got != Got::nothing || is_over(until)) return got;
    // Where items come one after the other, some are let come before the next look: each look takes the counter's cache
    // line from the producer. The rate of 8-byte items was 1.5 times as high (two cores of a VM).
    constexpr std::chrono::nanoseconds for_some{300};
    if (is_flowing && !nodes.is_crowded()) {
      for (const auto begin = Clock::now(); Clock::now() - begin < for_some;) continue;
    }
    int looks = 0;
    wait(until, [&] { return ++looks, (got = hub.try_get(item)) != Got::nothing; });
    constexpr int few = 4;
    is_flowing = looks < few;
    return got;
  }

  template <typename Try>
  bool wait(Until until, Try try_it) {
    comm::Backoff backoff{nodes.is_crowded()};
    while (!try_it()) {
      if (is_over(until)) return false;
      if (object) object->help();
      backoff.pause();
    }
    return true;
  }

  /// What a branch throws is what the hub would have thrown here.
  template <typename Do>
  auto told_as_here(Do what) const {
    try {
      return what();
    } catch (const std::logic_error& e) {
      throw Closed(e.what());
    } catch (const comm::RankLost& e) {
      // A pipe whose other end is lost is closed.
      if (!options.ends_with_producers || roles[static_cast<std::size_t>(e.rank)] != Role::consumer) throw;
      throw Closed(e.what());
    }
  }

  void close_put() {
    if (!std::exchange(may_put, false)) return;
    if (branch) {
      branch->close_put();
    } else {
      hub.close_put(session.rank());
    }
  }
  void close_get() {
    if (!std::exchange(may_get, false)) return;
    if (branch) {
      branch->close_get();
    } else {
      hub.close_get(session.rank());
    }
  }
  void fail() {
    if (branch) {
      branch->fail();
    } else {
      hub.fail(session.rank());
    }
  }

  const comm::Session& session;
  const int exceptions_at_start = std::uncaught_exceptions();
  const Options options;
  comm::Roster& roster;
  comm::Nodes& nodes;
  const std::vector<Role> roles;
  const int home;
  Hub hub;  // only of use on the home's node
  Clerk clerk;
  bool may_put;
  bool may_get;
  bool is_flowing = false;  // the last wait for an item was a short one
  std::optional<comm::Requests::Object> object;
  std::optional<Branch> branch;
};

Channel::Channel(const comm::Session& session, Role role, const Options& options) {
  const comm::Collective call{session, options.call};
  impl_ = std::make_unique<Impl>(session, role, options);
}

Channel::~Channel() {
  // By an exception the rank leaves in the middle: to the others that is no end, and it must not wait for them. Where
  // that is because of a rank that was lost, they know better.
  const bool fails = (impl_->may_put || impl_->may_get) && std::uncaught_exceptions() > impl_->exceptions_at_start;
  using Leave = void (Impl::*)();
  const std::vector<Leave> how = !fails                       ? std::vector<Leave>{&Impl::close_put, &Impl::close_get}
                                 : impl_->roster.has_losses() ? std::vector<Leave>{}
                                                              : std::vector<Leave>{&Impl::fail};
  for (const Leave leave : how) {
    try {
      (*impl_.*leave)();
    } catch (...) {  // who is left learns of it by what is lost
    }
  }
  if (impl_->object) impl_->object->retire(std::move(impl_));
}

bool Channel::put(comm::Packer& item, Until until) {
  if (!impl_->may_put) {
    throw Closed("this rank does not put anything into the " + std::string{impl_->options.name} +
                 ", or not any more: it is no producer, or has closed");
  }
  if (impl_->branch) {
    try {
      return impl_->branch->put(item.view(), until);
    } catch (const std::logic_error& e) {  // as it came from the home
      throw Closed(e.what());
    } catch (const comm::RankLost& e) {
      if (!impl_->options.ends_with_producers || impl_->roles[static_cast<std::size_t>(e.rank)] != Role::consumer)
        throw;
      throw Closed(e.what());
    }
  }
  bool again = false;
  return impl_->wait(until, [&] { return impl_->hub.try_put(item.view(), std::exchange(again, true)); });
}

Channel::Got Channel::get(comm::Bytes& item, Until until) {
  if (!impl_->may_get) {
    if (consumes(impl_->roles[static_cast<std::size_t>(impl_->session.rank())])) return Got::end;
    throw Closed("this rank takes nothing out of the " + std::string{impl_->options.name} + ": it is no consumer");
  }
  Got got = Got::nothing;
  if (impl_->branch) {
    got = impl_->branch->get(item, until);
  } else {
    got = impl_->get_here(item, until);
  }
  if (got == Got::end) impl_->close_get();
  return got;
}

void Channel::close_put() {
  impl_->told_as_here([&] { impl_->close_put(); });
}

void Channel::close_get() { impl_->close_get(); }

}  // namespace echelon::shared::detail
