#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <echelon/base/death.hpp>
#include <echelon/base/forked_child.hpp>
#include <echelon/comm/liveness.hpp>
#include <echelon/comm/mailbox.hpp>
#include <echelon/comm/session.hpp>

namespace echelon::comm {

/// What joins a session's master and its workers: messages, and the watch over who is alive.
class Link {
 public:
  /// Collective. `take_back`: a worker's answer to request(), called on another thread.
  Link(const Session& session, std::function<std::uint64_t(std::uint64_t)> take_back);

  /// Ends a forked child that has come back out of a user's callback or input, rather than have it speak for its
  /// parent.
  [[nodiscard]] Mailbox& mailbox() noexcept {
    base::end_forked_child();
    return mailbox_;
  }
  /// Of each rank; on the master.
  [[nodiscard]] const std::vector<std::string>& hosts() const noexcept { return hosts_; }

  // On the master:
  [[nodiscard]] bool has_news() const noexcept { return monitor_ && monitor_->has_news(); }
  [[nodiscard]] std::vector<LivenessMonitor::News> news() { return monitor_->news(); }
  /// How the rank died that was lost. May wait a moment for the kernel to tell.
  [[nodiscard]] base::Death death(const LivenessMonitor::Lost& lost);
  void request(int rank, std::uint64_t value) { monitor_->request(rank, value); }
  /// Nothing is sent to this rank any more, nothing heard from it, and where it still runs it ends itself.
  void lose(int rank);
  [[nodiscard]] bool all_have_left(std::chrono::milliseconds limit) { return monitor_->wait_until_all_left(limit); }

  /// On the master, by any thread: all other ranks end themselves at once, without a word.
  void end_all();
  /// On a worker: this rank ends for a reason of its own, which `code` tells the master (LivenessMonitor::Lost).
  void give_up(std::uint64_t code);

  /// On all: who leaves from now on is not lost.
  void say_goodbye();

 private:
  const Session& session_;
  std::optional<LivenessMonitor> monitor_;
  std::optional<LivenessBeacon> beacon_;
  Mailbox mailbox_;
  base::DeathWatch deaths_;
  std::string host_;
  std::vector<std::string> hosts_;
};

}  // namespace echelon::comm
