#pragma once

#include <chrono>
#include <memory>

#include <echelon/base/deadline.hpp>
#include <echelon/comm/session.hpp>
#include <echelon/shared/channel.hpp>

namespace echelon::shared {

/// Python's multiprocessing.Lock, across the ranks of a job: one rank at a time holds it, in the order in which they
/// asked for it. Meets TimedLockable, for std::lock_guard, std::unique_lock and std::scoped_lock.
///
/// It lies in memory that the ranks of the master's node share: there, taking and leaving it costs some 50 ns and needs
/// nobody else. Ranks of other nodes ask by a message, which a thread of Echelon's own answers there: a round trip.
///
/// For one thread of each rank. What one rank wrote into a Value or Array before unlock(), the next holder sees.
class Lock {
 public:
  /// Collective.
  explicit Lock(const comm::Session& session);
  /// Gives it back where this rank holds it.
  ~Lock();
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  /// Throws comm::RankLost where the rank that holds it is lost, and std::system_error
  /// (resource_deadlock_would_occur) where this rank holds it already.
  void lock();
  /// False: another rank holds it, or waits for it. Throws as lock() does where the holder is lost.
  [[nodiscard]] bool try_lock();
  template <typename Rep, typename Period>
  [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> limit) {
    return lock_until(base::deadline(limit));
  }
  template <typename Clock, typename Duration>
  [[nodiscard]] bool try_lock_until(std::chrono::time_point<Clock, Duration> end) {
    return try_lock_for(end - Clock::now());
  }
  /// Throws std::system_error (operation_not_permitted) where this rank does not hold it.
  void unlock();

 private:
  [[nodiscard]] bool lock_until(detail::Until until);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace echelon::shared
