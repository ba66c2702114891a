#include <optional>

#include <echelon/comm/collectives.hpp>
#include <echelon/comm/liveness.hpp>
#include <echelon/comm/nodes.hpp>
#include <echelon/comm/roster.hpp>

#include "session_impl.hpp"

namespace echelon::comm {
namespace {

/// A machine where ranks share a CPU with many others may need some of it.
constexpr std::chrono::seconds connect_limit{60};
/// What the master asks of the others by their connection: to know that a rank is lost, or, 0, that it gives up.
constexpr std::uint64_t giving_up = 0;

}  // namespace

struct Roster::Impl {
  std::optional<LivenessMonitor> monitor;
  std::optional<LivenessBeacon> beacon;
};

Roster& Roster::of(const Session& session) {
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
  const LivenessOptions options = liveness_options();
  LivenessInvitation invitation;
  if (session.is_master()) {
    const auto tell_others = [this] {
      for (const auto& one : impl_->monitor->news()) {
        const auto* loss = std::get_if<LivenessMonitor::Lost>(&one);
        if (loss == nullptr || is_lost(loss->rank)) continue;
        mark(loss->rank);
        for (int rank = 1; rank < session_.size(); ++rank) {
          if (!is_lost(rank)) impl_->monitor->request(rank, static_cast<std::uint64_t>(loss->rank));
        }
      }
    };
    impl_->monitor.emplace(session.size(), options, tell_others);
    invitation = impl_->monitor->invitation();
  }
  invitation = all_gather(session, invitation).front();
  if (!session.is_master()) {
    impl_->beacon.emplace(session.rank(), invitation, options,
                          LivenessBeacon::Handlers{.answer =
                                                       [this](std::uint64_t what) {
                                                         if (what == giving_up) {
                                                           gave_up_.store(true, std::memory_order_release);
                                                           mark(0);
                                                         } else {
                                                           mark(static_cast<int>(what));
                                                         }
                                                         return std::uint64_t{0};
                                                       },
                                                   .master_lost = [this] { mark(0); },
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
  if (impl_->monitor) impl_->monitor->goodbye();
  if (impl_->beacon) impl_->beacon->goodbye();
  impl_.reset();  // no handler runs any more
  for (const int rank : lost()) session_.lose(rank);
}

void Roster::mark(int rank) noexcept {
  const std::lock_guard lock{mutex_};
  if (lost_[static_cast<std::size_t>(rank)].exchange(true)) return;
  order_.push_back(rank);
  losses_.fetch_add(1, std::memory_order_release);
}

std::vector<int> Roster::lost() const {
  const std::lock_guard lock{mutex_};
  return order_;
}

RankLost Roster::error(int rank, std::string_view meaning) const {
  return {rank, "rank " + std::to_string(rank) + " on " + Nodes::of(session_).host(rank) +
                    " was lost: " + std::string{meaning}};
}

void Roster::check(std::string_view meaning) const {
  if (has_losses()) throw error(lost().front(), meaning);
}

void Roster::give_up() {
  if (!impl_->monitor) return;
  for (int rank = 1; rank < session_.size(); ++rank) {
    if (!is_lost(rank)) impl_->monitor->request(rank, giving_up);
  }
  impl_->monitor->goodbye();  // all of this is sent when it returns
  impl_->monitor.reset();
}

}  // namespace echelon::comm
