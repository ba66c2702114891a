#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include <echelon/base/files.hpp>
#include <echelon/comm/session.hpp>
#include <echelon/launch/stop_requests.hpp>

namespace echelon::app {

/// How long a program that was asked to stop has: as ECHELON_GRACE_S says, or 30 s. Throws UsageError.
[[nodiscard]] double grace_s();

/// The master's watch over requests to stop, on a thread of its own: the first becomes the session's
/// (comm::Session::request_stop); a second, or the end of the grace that the first one had, ends the run at once.
class StopWatch {
 public:
  /// `end_others`: ends the other ranks, without a word, whatever this one is busy with.
  StopWatch(const comm::Session& session, std::function<void()> end_others);
  ~StopWatch();
  StopWatch(const StopWatch&) = delete;
  StopWatch& operator=(const StopWatch&) = delete;

 private:
  void run();
  void wake() const noexcept;
  void call_back(int signal);
  [[noreturn]] void end_run();

  const comm::Session& session_;
  const std::function<void()> end_others_;
  const double grace_s_;
  launch::StopRequests requests_;
  base::Descriptor wake_;  // an eventfd
  std::atomic<bool> leaving_ = false;
  std::atomic<bool> calling_ = false;
  std::thread callbacks_;  // what Session::on_stop() was given must not hold up the watch
  std::thread thread_;     // the last, as it uses all the others
};

}  // namespace echelon::app
