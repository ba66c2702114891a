#include <algorithm>
#include <thread>

#include <echelon/comm/backoff.hpp>

namespace echelon::comm {

Backoff::Clock::duration Backoff::sleep_after(Clock::duration waited) noexcept {
  if (waited < yield) return Clock::duration::zero();
  return std::min<Clock::duration>(waited / 16, longest_sleep);
}

void Backoff::pause() {
  const Clock::duration waited = Clock::now() - begin_;
  if (waited < spin_) return;
  const Clock::duration sleep = sleep_after(waited);
  if (sleep == Clock::duration::zero()) {
    std::this_thread::yield();
  } else {
    std::this_thread::sleep_for(sleep);
  }
}

}  // namespace echelon::comm
