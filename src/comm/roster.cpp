#include <optional>

#include <echelon/comm/collectives.hpp>
#include <echelon/comm/liveness.hpp>
#include <echelon/comm/nodes.hpp>
#include <echelon/comm/roster.hpp>

#include "session_impl.hpp"

namespace echelon::comm {
namespace {

/// What ranks tell each other by their connections, in a word: that a rank is lost, and why, where it has said so.
struct Notice {
  int lost;
  std::optional<Roster::End> why;
};
constexpr unsigned rank_bits = 28;
constexpr std::uint64_t rank_mask = (std::uint64_t{1} << rank_bits) - 1;

std::uint64_t encode_notice(const Notice& notice) {
  const auto lost = static_cast<std::uint64_t>(notice.lost);
  if (!notice.why) return lost;
  const auto rank = static_cast<std::uint64_t>(notice.why->rank) + 1;
  return lost | rank << rank_bits | static_cast<std::uint64_t>(notice.why->code) << 2 * rank_bits;
}

Notice decode_notice(std::uint64_t word) {
  const auto lost = static_cast<int>(word & rank_mask);
  const std::uint64_t rank = word >> rank_bits & rank_mask;
  if (rank == 0) return {lost, std::nullopt};
  return {lost, Roster::End{static_cast<int>(rank - 1), static_cast<base::ExitCode>(word >> 2 * rank_bits)}};
}

}  // namespace

struct Roster::Impl {
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
    kept = roster;
  }
  return *static_cast<Roster*>(kept.get());
}

Roster::Roster(const Session& session)
    : session_{session}, lost_(static_cast<std::size_t>(session.size())), impl_{std::make_unique<Impl>()} {
  const Nodes& nodes = Nodes::of(session);  // it has the hosts' names
  if (session.size() == 1) return;
  LivenessOptions options = liveness_options();
  options.within_host = share_loopback(session);
  LivenessInvitation invitation;
  if (session.is_master()) {
    const auto tell_others = [this] {
      for (const auto& one : impl_->monitor->news()) {
        const auto* loss = std::get_if<LivenessMonitor::Lost>(&one);
        if (loss == nullptr || is_lost(loss->rank)) continue;
        Notice notice{loss->rank, std::nullopt};
        if (loss->cause == LivenessMonitor::Lost::Cause::gave_up) notice.why = decode_notice(loss->code).why;
        lose(notice.lost, notice.why);
        for (int rank = 1; rank < session_.size(); ++rank) {
          if (!is_lost(rank)) impl_->monitor->request(rank, encode_notice(notice));
        }
      }
    };
    impl_->monitor.emplace(session.size(), options, tell_others);
    invitation = impl_->monitor->invitation();
  }
  invitation = all_gather(session, invitation).front();
  if (!session.is_master()) {
    const auto hear = [this](std::uint64_t word) {
      const Notice notice = decode_notice(word);
      lose(notice.lost, notice.why);
      return std::uint64_t{0};
    };
    const auto lose_master = [this] { lose(0, std::nullopt); };
    impl_->beacon.emplace(session.rank(), invitation, options,
                          LivenessBeacon::Handlers{.answer = hear, .master_lost = lose_master, .ended = {}},
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
  if (impl_->monitor) impl_->monitor->goodbye();
  if (impl_->beacon) impl_->beacon->goodbye();
  impl_.reset();  // no handler runs any more
  for (const int rank : lost()) session_.lose(rank);
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
  const std::uint64_t notice = encode_notice({session_.rank(), why});
  if (impl_->monitor) {
    for (int rank = 1; rank < session_.size(); ++rank) {
      if (!is_lost(rank)) impl_->monitor->request(rank, notice);
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
