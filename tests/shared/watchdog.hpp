#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <unistd.h>

#include "support/mpi_session.hpp"

namespace echelon::test {

/// Ends this rank, and with it the job, where what it is told of lasts too long: put(), get() and lock() have no limit
/// of their own.
class Watchdog {
 public:
  /// Far longer than anything here takes, some seconds, even on a machine that is loaded.
  static constexpr std::chrono::seconds limit{60};

  explicit Watchdog(std::string what) : what_{std::move(what)}, thread_{[this] { watch(); }} {}
  ~Watchdog() {
    {
      const std::scoped_lock lock{mutex_};
      stop_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Something else begins.
  void now(std::string what) {
    {
      const std::scoped_lock lock{mutex_};
      what_ = std::move(what);
      ++count_;
    }
    changed_.notify_one();
  }

 private:
  void watch() {
    std::unique_lock lock{mutex_};
    while (!stop_) {
      const auto before = count_;
      if (changed_.wait_for(lock, limit, [&] { return stop_ || count_ != before; })) continue;
      std::fprintf(stderr, "rank %d hangs: %s\n", session().rank(), what_.c_str());
      std::abort();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string what_;
  std::uint64_t count_ = 0;
  bool stop_ = false;
  std::thread thread_;
};

/// A test that must not hang.
class Watched : public testing::Test {
 private:
  Watchdog watchdog_{testing::UnitTest::GetInstance()->current_test_info()->name()};
};

}  // namespace echelon::test
