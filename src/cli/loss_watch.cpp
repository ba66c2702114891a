#include "loss_watch.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include <echelon/base/error.hpp>
#include <echelon/launch/rank_report.hpp>

namespace echelon::cli {

using base::ExitCode;

void tell_outcome(int code) noexcept {
  const comm::Placement place = comm::placement();
  if (place.launched && place.rank == 0) launch::tell_outcome(code);
}

void leave_lost(const comm::Session& session, const comm::RankLost& loss) {
  constexpr std::chrono::seconds for_the_launcher{2};
  constexpr std::chrono::seconds for_the_first{5};
  static std::atomic<bool> is_leaving = false;
  // By two threads: the first sees to it, and the process ends.
  while (is_leaving.exchange(true)) std::this_thread::sleep_for(for_the_first);
  std::this_thread::sleep_for(for_the_launcher);
  if (session.rank() == comm::Roster::of(session).first_left()) {
    tell_outcome(static_cast<int>(ExitCode::broken));
    session.abort(ExitCode::broken, loss.what());
  }
  std::this_thread::sleep_for(for_the_first);
  session.leave(ExitCode::broken);
}

LossWatch::LossWatch(const comm::Session& session) {
  comm::Roster& roster = comm::Roster::of(session);
  watcher_ = std::jthread{[&session, &roster](const std::stop_token& stop) {
    constexpr std::chrono::milliseconds look{200};
    std::mutex mutex;
    std::condition_variable_any ended;
    std::unique_lock lock{mutex};
    while (!ended.wait_for(lock, stop, look, [&] { return stop.stop_requested(); })) {
      if (roster.has_losses())
        leave_lost(session, roster.error(roster.lost().front(), "the run is lost, start it again"));
    }
  }};
}

}  // namespace echelon::cli
