#include <algorithm>

#include <echelon/farm/worker.hpp>

namespace echelon::farm {

std::optional<Chunk> Worker::begin() {
  while (!chunks_.empty()) {
    Chunk& chunk = chunks_.front();
    std::uint64_t begun = begun_.load(std::memory_order_relaxed);
    // Beyond the chunk's next task only where some were taken back.
    const std::uint64_t skipped = std::min(begun - std::min(begun, chunk.sequence), chunk.tasks.count);
    chunk.tasks.first += skipped;
    chunk.tasks.count -= skipped;
    chunk.sequence += skipped;
    if (chunk.tasks.count == 0) {
      chunks_.pop_front();
      continue;
    }
    if (chunk.tasks.job != job_) {
      job_ = chunk.tasks.job;
      task_ns_ = 0;
    }
    std::uint64_t count = 1;
    if (!chunk.careful && task_ns_ > 0) {
      const double fitting = static_cast<double>(run_time.count()) / task_ns_;
      count = fitting >= static_cast<double>(chunk.tasks.count)
                  ? chunk.tasks.count
                  : std::max<std::uint64_t>(1, static_cast<std::uint64_t>(fitting));
    }
    if (!begun_.compare_exchange_strong(begun, chunk.sequence + count, std::memory_order_acq_rel)) continue;
    const Chunk run{{chunk.tasks.job, chunk.tasks.first, count}, chunk.sequence, chunk.careful, chunk.isolated};
    chunk.tasks.first += count;
    chunk.tasks.count -= count;
    chunk.sequence += count;
    if (chunk.tasks.count == 0) chunks_.pop_front();
    return run;
  }
  return std::nullopt;
}

void Worker::ended(std::uint64_t count, std::chrono::nanoseconds time) noexcept {
  if (count == 0) return;
  const double now = std::max(1.0, static_cast<double>(time.count()) / static_cast<double>(count));
  // A run may be four times as long as the last one at most: the first tasks say little.
  const double least = task_ns_ == 0 ? static_cast<double>(run_time.count()) / 4.0 : task_ns_ / 4.0;
  task_ns_ = std::max(now, least);
}

std::uint64_t Worker::take_back(std::uint64_t upto) noexcept {
  std::uint64_t begun = begun_.load(std::memory_order_relaxed);
  while (begun < upto) {
    if (begun_.compare_exchange_weak(begun, upto, std::memory_order_acq_rel)) return begun;
  }
  return upto;
}

}  // namespace echelon::farm
