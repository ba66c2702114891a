#include <chrono>
#include <optional>
#include <utility>

#include <echelon/comm/backoff.hpp>
#include <echelon/comm/collectives.hpp>
#include <echelon/comm/liveness.hpp>
#include <echelon/comm/nodes.hpp>
#include <echelon/comm/roster.hpp>

#include "session_impl.hpp"

namespace echelon::comm {
namespace {

/// What ranks tell each other by their connections, in a word.
struct Notice {
  enum class Kind : std::uint8_t {
    lost,    ///< a rank is, and why, where it has said so
    left,    ///< a rank has come to its end, after so many collective operations
    speaks,  ///< of those that fail, this rank says why; from a worker: it wants to
  };
  Kind kind;
  int rank;
  std::optional<Roster::End> why = {};
  std::uint64_t count = 0;
};
constexpr unsigned kind_bits = 2;
constexpr unsigned rank_bits = 26;
constexpr unsigned code_bits = 8;
constexpr unsigned count_bits = 64 - kind_bits - rank_bits;

/// Takes the lowest bits out.
std::uint64_t take_bits(std::uint64_t& word, unsigned bits) {
  const std::uint64_t low = word & ((std::uint64_t{1} << bits) - 1);
  word >>= bits;
  return low;
}

std::uint64_t encode_notice(const Notice& notice) {
  std::uint64_t rest = notice.count;
  if (notice.why) {
    rest =
        (static_cast<std::uint64_t>(notice.why->rank) + 1) << code_bits | static_cast<std::uint64_t>(notice.why->code);
  }
  return (rest << rank_bits | static_cast<std::uint64_t>(notice.rank)) << kind_bits |
         static_cast<std::uint64_t>(notice.kind);
}

Notice decode_notice(std::uint64_t word) {
  Notice notice{};
  notice.kind = static_cast<Notice::Kind>(take_bits(word, kind_bits));
  notice.rank = static_cast<int>(take_bits(word, rank_bits));
  if (notice.kind == Notice::Kind::left) notice.count = word;
  if (notice.kind != Notice::Kind::lost || word == 0) return notice;
  const auto code = static_cast<base::ExitCode>(take_bits(word, code_bits));
  notice.why = Roster::End{static_cast<int>(word) - 1, code};
  return notice;
}

}  // namespace

struct Roster::Impl {
  boost::mpi::communicator ends;  // on which ranks wait for each other's end: no other call is answered by that
  std::optional<LivenessMonitor> monitor;
  std::optional<LivenessBeacon> beacon;
};

Roster& Roster::of(const Session& session, std::optional<std::chrono::seconds> limit) {
  if (limit && !session.impl().check_ranks) {
    session.impl().check_ranks = [limit, end = std::chrono::steady_clock::now() + *limit] {
      if (std::chrono::steady_clock::now() < end) return;
      throw std::runtime_error("not all ranks have come within " + std::to_string(limit->count()) +
                               " s of the start; one may have died: start it again");
    };
  }
  (void)Nodes::of(session);  // first, so that it goes after this one when the session ends
  auto& kept = session.kept(typeid(Roster));
  if (!kept) {
    auto roster = std::make_shared<Roster>(session);
    session.impl().check_ranks = [it = roster.get()] { it->check("other ranks wait for it"); };
    session.impl().check_left = [it = roster.get()](std::uint64_t number) { it->check_left(number); };
    kept = roster;
  }
  return *static_cast<Roster*>(kept.get());
}

const Roster* Roster::known(const Session& session) {
  return static_cast<const Roster*>(session.kept(typeid(Roster)).get());
}

Roster::Roster(const Session& session)
    : session_{session}, lost_(static_cast<std::size_t>(session.size())), impl_{std::make_unique<Impl>()} {
  const Nodes& nodes = Nodes::of(session);  // it has the hosts' names
  if (session.size() == 1) return;
  impl_->ends = duplicate(session.impl());
  LivenessOptions options = liveness_options();
  options.within_host = share_loopback(session);
  LivenessInvitation invitation;
  if (session.is_master()) {
    impl_->monitor.emplace(session.size(), options, [this] { hear_workers(); });
    invitation = impl_->monitor->invitation();
  }
  invitation = all_gather(session, invitation).front();
  if (!session.is_master()) {
    impl_->beacon.emplace(session.rank(), invitation, options,
                          LivenessBeacon::Handlers{.answer = {},
                                                   .told = [this](std::uint64_t word) { apply(word); },
                                                   .master_lost = [this] { lose(0, std::nullopt); },
                                                   .ended = {}},
                          connect_limit);
    return;
  }
  const std::vector<int> missing = impl_->monitor->wait_for_workers(connect_limit);
  if (!missing.empty()) {
    throw std::runtime_error("rank " + std::to_string(missing.front()) + " on " + nodes.host(missing.front()) +
                             " has not connected to the master within " + std::to_string(connect_limit.count()) +
                             " s, by TCP to port " + std::to_string(invitation.port) + "; is there a firewall?");
  }
}

Roster::~Roster() {
  session_.impl().check_ranks = {};
  session_.impl().check_left = {};
  tell_end();
  if (impl_->monitor) impl_->monitor->goodbye();
  if (impl_->beacon) impl_->beacon->goodbye();
  if (has_losses()) new boost::mpi::communicator{impl_->ends};  // to free it would wait for the lost ones
  impl_.reset();                                                // no handler runs any more
  for (const int rank : lost()) session_.lose(rank);
}

/// On the master, on its connections' thread.
void Roster::hear_workers() {
  for (const auto& one : impl_->monitor->news()) {
    if (const auto* loss = std::get_if<LivenessMonitor::Lost>(&one)) {
      if (is_lost(loss->rank)) continue;
      Notice notice{Notice::Kind::lost, loss->rank};
      if (loss->cause == LivenessMonitor::Lost::Cause::gave_up) notice.why = decode_notice(loss->code).why;
      tell_all(encode_notice(notice));
    } else if (const auto* word = std::get_if<LivenessMonitor::Word>(&one)) {
      tell_if_new(word->value);
    }
  }
}

/// The earliest end of a rank is the one that matters, and the first rank that wants to say why.
void Roster::tell_if_new(std::uint64_t word) {
  const std::lock_guard lock{telling_};  // all are told the same first
  const Notice notice = decode_notice(word);
  const bool is_new = notice.kind == Notice::Kind::left ? notice.count < least_left_ : speaker_ < 0;
  if (is_new) tell_all(word);
}

void Roster::tell_all(std::uint64_t word) {
  apply(word);
  for (int rank = 1; rank < session_.size(); ++rank) {
    if (!is_lost(rank)) impl_->monitor->tell(rank, word);
  }
}

void Roster::apply(std::uint64_t word) {
  const Notice notice = decode_notice(word);
  switch (notice.kind) {
    case Notice::Kind::lost: lose(notice.rank, notice.why); break;
    case Notice::Kind::left: {
      const std::lock_guard lock{mutex_};
      if (notice.count >= least_left_ || static_cast<std::int64_t>(notice.count) <= all_left_) break;
      first_to_leave_ = notice.rank;
      least_left_ = notice.count;
      break;
    }
    case Notice::Kind::speaks: {
      int nobody = -1;
      speaker_.compare_exchange_strong(nobody, notice.rank);
      break;
    }
  }
}

void Roster::tell_end() {
  const std::uint64_t count = session_.impl().calls.entered;
  if (std::exchange(has_left_, true) || count >> count_bits != 0) return;
  const std::uint64_t word = encode_notice({Notice::Kind::left, session_.rank(), {}, count});
  if (impl_->monitor) tell_if_new(word);
  if (impl_->beacon) impl_->beacon->tell(word);
}

void Roster::leave() {
  tell_end();
  if (session_.size() == 1) return;
  const Session::Impl& session = session_.impl();
  wait_until(session, session.calls.entered, [&] { return settle(session); });
  MPI_Request request = MPI_REQUEST_NULL;
  comm::check(MPI_Ibarrier(impl_->ends, &request), "MPI_Ibarrier");
  wait(session, request, 0);
  const std::lock_guard lock{mutex_};
  all_left_ = static_cast<std::int64_t>(session.calls.entered);
  least_left_ = ~std::uint64_t{0};
  has_left_ = false;
}

std::vector<int> Roster::gather_statuses(int status) const {
  std::vector<int> all(session_.is_master() ? static_cast<std::size_t>(session_.size()) : 0, status);
  if (session_.size() == 1) return all;
  MPI_Request request = MPI_REQUEST_NULL;
  comm::check(MPI_Igather(&status, 1, MPI_INT, all.data(), 1, MPI_INT, 0, impl_->ends, &request), "MPI_Igather");
  wait(session_.impl(), request, 0);
  return all;
}

void Roster::check_left(std::uint64_t number) const {
  if (number <= least_left_.load(std::memory_order_relaxed)) return;
  const Session::Impl& session = session_.impl();
  const Calls& calls = session.calls;
  const Call call = calls.outermost != Call::none || calls.open.empty() ? calls.outermost : calls.open.front()->call;
  int left = 0;
  {
    const std::lock_guard lock{mutex_};
    left = first_to_leave_;
  }
  session.calls.misuse = std::string{name(call)} + " waits for " + place(session, left) +
                         ", which has come to its end without that: all ranks make such calls, in the same order";
  throw std::logic_error(calls.misuse);
}

bool Roster::claim_end() {
  if (session_.size() == 1) return true;
  const std::uint64_t word = encode_notice({Notice::Kind::speaks, session_.rank()});
  if (impl_->monitor) tell_if_new(word);
  if (impl_->beacon) impl_->beacon->tell(word);
  constexpr std::chrono::seconds longest{3};
  const auto until = std::chrono::steady_clock::now() + longest;
  for (Backoff backoff; speaker_ < 0 && !is_master_lost() && std::chrono::steady_clock::now() < until;) backoff.pause();
  return speaker_ < 0 || speaker_ == session_.rank();
}

void Roster::lose(int rank, std::optional<End> why) noexcept {
  const std::lock_guard lock{mutex_};
  const auto mark = [&](int one) {
    if (lost_[static_cast<std::size_t>(one)].exchange(true)) return;
    order_.push_back(one);
    losses_.fetch_add(1, std::memory_order_release);
  };
  if (why && !end_) end_ = why;
  if (why && why->rank != session_.rank()) mark(why->rank);  // before the one that left because of it
  mark(rank);
}

std::optional<Roster::End> Roster::end() const {
  const std::lock_guard lock{mutex_};
  return end_;
}

std::vector<int> Roster::lost() const {
  const std::lock_guard lock{mutex_};
  return order_;
}

bool Roster::is_ending() const {
  constexpr std::chrono::seconds longest{2};
  const auto until = std::chrono::steady_clock::now() + longest;
  for (Backoff backoff; !end() && !is_master_lost() && std::chrono::steady_clock::now() < until;) backoff.pause();
  return end().has_value();
}

int Roster::first_left() const noexcept {
  int rank = 0;
  while (is_lost(rank)) ++rank;
  return rank;
}

RankLost Roster::error(int rank, std::string_view meaning) const {
  if (const auto why = end(); why && why->rank != rank) return error(why->rank, "the run ends with it");
  return {rank, "rank " + std::to_string(rank) + " on " + Nodes::of(session_).host(rank) +
                    " was lost: " + std::string{meaning}};
}

void Roster::check(std::string_view meaning) const {
  if (has_losses()) throw error(lost().front(), meaning);
}

void Roster::give_up(End why) {
  const std::uint64_t notice = encode_notice({Notice::Kind::lost, session_.rank(), why});
  if (impl_->monitor) {
    for (int rank = 1; rank < session_.size(); ++rank) {
      if (!is_lost(rank)) impl_->monitor->tell(rank, notice);
    }
    impl_->monitor->goodbye();  // all of this is sent when it returns
    impl_->monitor.reset();
  }
  if (impl_->beacon) {
    impl_->beacon->give_up(notice);
    impl_->beacon.reset();
  }
}

}  // namespace echelon::comm
