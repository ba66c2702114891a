#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>

#include <echelon/farm/tasks.hpp>

namespace echelon::farm {

/// The worker's decisions: which tasks to begin next, and when to report. State and event in, actions out.
///
/// Tasks are begun in the order in which they were sent, a run at a time: as many of one chunk as take about `run_time`
/// by what the last ones took. What has not begun can be taken back at any moment, from another thread, by one atomic
/// number: a worker in the middle of an hour's task need not be asked.
class Worker {
 public:
  static constexpr std::chrono::nanoseconds run_time{20'000};
  static constexpr std::chrono::nanoseconds report_time{50'000};  ///< no result waits longer, once its run has ended

  void receive(const Chunk& chunk) { chunks_.push_back(chunk); }

  /// The next run, which is begun by this; nothing where all that was received has been begun or taken back.
  [[nodiscard]] std::optional<Chunk> begin();
  /// The run that was begun last took `time`; `count` of its tasks were executed.
  void ended(std::uint64_t count, std::chrono::nanoseconds time) noexcept;

  /// Takes back all tasks below `upto` that have not begun; returns the first of them by sequence, `upto` where there
  /// was none. Any thread may call it.
  [[nodiscard]] std::uint64_t take_back(std::uint64_t upto) noexcept;

  /// Whether results are to be sent now: when there is nothing else to do, when they have waited, or one by one. To be
  /// asked when a run has ended, and when begin() found nothing: the rest may have been taken back.
  [[nodiscard]] bool must_report(bool careful, std::chrono::nanoseconds waited) const noexcept {
    return careful || chunks_.empty() || waited >= report_time;
  }

 private:
  std::deque<Chunk> chunks_;
  std::atomic<std::uint64_t> begun_{0};  // tasks with a lower sequence have begun or were taken back
  JobId job_ = ~JobId{0};
  double task_ns_ = 0;  // of job_; 0: not known
};

}  // namespace echelon::farm
