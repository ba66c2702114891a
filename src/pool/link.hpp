#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <echelon/comm/liveness.hpp>
#include <echelon/comm/mailbox.hpp>
#include <echelon/comm/session.hpp>

namespace echelon::pool::detail {

/// What joins a session's master and its workers: messages, and the watch over who is alive.
class Link {
 public:
  /// Collective. `take_back`: a worker's answer to request(), called on another thread.
  Link(const comm::Session& session, std::function<std::uint64_t(std::uint64_t)> take_back);

  [[nodiscard]] comm::Mailbox& mailbox() noexcept { return mailbox_; }
  /// Host and CPUs of each rank; on the master.
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& places() const noexcept { return places_; }

  // On the master:
  [[nodiscard]] bool has_news() const noexcept { return monitor_ && monitor_->has_news(); }
  [[nodiscard]] std::vector<comm::LivenessMonitor::News> news() { return monitor_->news(); }
  void request(int rank, std::uint64_t value) { monitor_->request(rank, value); }
  /// Nothing is sent to this rank any more, nothing heard from it, and where it still runs it ends itself.
  void lose(int rank);
  [[nodiscard]] bool all_have_left(std::chrono::milliseconds limit) { return monitor_->wait_until_all_left(limit); }

  /// On all: who leaves from now on is not lost.
  void say_goodbye();

 private:
  const comm::Session& session_;
  std::optional<comm::LivenessMonitor> monitor_;
  std::optional<comm::LivenessBeacon> beacon_;
  comm::Mailbox mailbox_;
  std::vector<std::pair<std::string, std::string>> places_;
};

}  // namespace echelon::pool::detail
