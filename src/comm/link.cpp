#include <array>
#include <climits>
#include <cstdio>
#include <stdexcept>

#include <fmt/format.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/comm/collectives.hpp>
#include <echelon/comm/link.hpp>
#include <echelon/comm/nodes.hpp>
#include <echelon/comm/roster.hpp>

#include "session_impl.hpp"

namespace echelon::comm {
namespace {

std::string own_host() {
  std::array<char, HOST_NAME_MAX + 1> host{};
  gethostname(host.data(), host.size() - 1);
  return host.data();
}

[[noreturn]] void end_at_once() { _exit(static_cast<int>(base::ExitCode::broken)); }

}  // namespace

Link::Link(const Session& session, std::function<std::uint64_t(std::uint64_t)> take_back)
    : session_{session}, mailbox_{session}, host_{own_host()}, hosts_{gather(session, host_)} {
  if (session.size() == 1) return;

  LivenessOptions options = liveness_options();
  options.within_host = share_loopback(session);
  LivenessInvitation invitation;
  if (session.is_master()) {
    monitor_.emplace(session.size(), options);
    invitation = monitor_->invitation();
  }
  invitation = broadcast(session, invitation);
  if (!session.is_master()) {
    const auto master_lost = [rank = session.rank(), host = host_, roster = Roster::known(session)] {
      if (rank == 1 && !(roster != nullptr && roster->is_ending())) {
        const std::string line = fmt::format("echelon: rank 1 on {}: the master is lost, and the run with it\n", host);
        (void)!write(STDERR_FILENO, line.data(), line.size());
      }
      end_at_once();
    };
    beacon_.emplace(session.rank(), invitation, options,
                    LivenessBeacon::Handlers{
                        .answer = std::move(take_back), .master_lost = master_lost, .ended = [] { end_at_once(); }},
                    connect_limit);
    beacon_->report_crashes();
    return;
  }
  const Nodes& nodes = Nodes::of(session);
  for (int rank = 1; rank < session.size(); ++rank) {
    if (nodes.is_here(rank)) deaths_.watch(rank, nodes.process(rank));
  }
  const std::vector<int> missing = monitor_->wait_for_workers(connect_limit);
  if (!missing.empty()) {
    const auto rank = static_cast<std::size_t>(missing.front());
    throw std::runtime_error(fmt::format(
        "rank {} on {} has not connected to the master within {} s, by TCP to port {}; is there a firewall?", rank,
        hosts_[rank], connect_limit.count(), monitor_->invitation().port));
  }
}

base::Death Link::death(const LivenessMonitor::Lost& lost) {
  using Cause = LivenessMonitor::Lost::Cause;
  switch (lost.cause) {
    case Cause::gave_up: return base::decode_death(lost.code);
    case Cause::silent: return deaths_.silent(lost.rank);
    case Cause::closed: break;
  }
  return deaths_.ended(lost.rank);
}

void Link::lose(int rank) {
  monitor_->end(rank);
  mailbox_.forget(rank);
  session_.lose(rank);
}

void Link::end_all() {
  if (!monitor_) return;
  for (int rank = 1; rank < session_.size(); ++rank) monitor_->end(rank);
  monitor_->goodbye();  // all of this is sent when it returns
}

void Link::give_up(std::uint64_t code) {
  if (beacon_) beacon_->give_up(code);
}

void Link::say_goodbye() {
  if (monitor_) monitor_->goodbye();
  if (beacon_) beacon_->goodbye();
}

}  // namespace echelon::comm
