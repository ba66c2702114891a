// Results that come later, and who is told of them.
#include <atomic>
#include <chrono>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/pool/pool.hpp>

#include "support/marks.hpp"
#include "support/mpi_session.hpp"

namespace echelon::pool {
namespace {

using namespace std::chrono_literals;
using test::comes_true;
using test::session;

int square(int x) { return x * x; }

int fail(int x) { throw std::runtime_error(std::to_string(x)); }

std::vector<int> numbers(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

bool alone() { return session().size() == 1; }

TEST(AsyncResult, CanBeGotSeveralTimesAndCopied) {
  Pool pool{session()};
  const auto result = pool.apply_async([](const std::string& s) { return s + "!"; }, "yes");
  EXPECT_EQ(result.get(), "yes!");
  EXPECT_EQ(result.get(), "yes!");
  const auto copy = result;
  EXPECT_EQ(copy.get(), "yes!");
  EXPECT_TRUE(copy.ready());
  EXPECT_TRUE(copy.successful());
}

TEST(AsyncResult, OfAFailedTaskThrowsEachTime) {
  Pool pool{session()};
  const auto result = pool.apply_async(fail, 5);
  EXPECT_THROW((void)result.get(), TaskError);
  EXPECT_THROW((void)result.get(), TaskError);
  EXPECT_TRUE(result.ready());
  EXPECT_FALSE(result.successful());
  try {
    (void)pool.map_async(fail, numbers(10)).get();
    FAIL() << "nothing was thrown";
  } catch (const TaskError& error) {
    EXPECT_EQ(error.index, 0);
    EXPECT_EQ(error.message, "0");
  }
}

TEST(AsyncResult, OfVoidCanBeWaitedFor) {
  const test::Marks marks;
  Pool pool{session()};
  const auto result = pool.apply_async([](const std::string& path) { test::leave_mark(path); }, marks.path());
  result.get();
  EXPECT_EQ(marks.count(), 1);
  EXPECT_TRUE(result.successful());
}

TEST(AsyncResult, GivesItsValueWithoutACopyWhereItIsMoved) {
  Pool pool{session()};
  auto result = pool.map_async(square, numbers(100));
  EXPECT_EQ(std::move(result).get().size(), 100);
}

TEST(AsyncResult, HasTimeLimits) {
  if (alone()) return;  // the master runs the task itself
  const test::Marks marks;
  Pool pool{session()};
  const auto result = pool.apply_async(test::WaitAtGate{marks.path(), 7}, 7);
  EXPECT_FALSE(result.ready());
  EXPECT_FALSE(result.wait_for(10ms));
  EXPECT_FALSE(result.wait_for(0s));
  EXPECT_FALSE(result.wait_for(-1h));
  EXPECT_THROW((void)result.get(10ms), TimeoutError);
  EXPECT_THROW((void)result.successful(), std::logic_error);
  marks.open_gate();
  EXPECT_EQ(result.get(60s), 7);
  EXPECT_TRUE(result.wait_for(0s));
  EXPECT_TRUE(result.wait_for(std::chrono::hours::max()));
}

TEST(AsyncResult, ComesAlsoToWhoOnlyLooks) {
  Pool pool{session()};
  const auto result = pool.map_async(square, numbers(100), {.chunk = 1});
  EXPECT_TRUE(comes_true([&] { return result.ready(); }));
  EXPECT_EQ(result.get()[99], 99 * 99);
}

TEST(AsyncResult, OfOneCallDoesNotWaitForAnother) {
  const test::Marks marks;
  Pool pool{session()};
  if (pool.workers() < 2) return;
  const auto slow = pool.apply_async(test::WaitAtGate{marks.path(), 0}, 0);
  EXPECT_EQ(pool.apply_async(square, 3).get(), 9);
  EXPECT_EQ(pool.map(square, numbers(100)).size(), 100);
  EXPECT_FALSE(slow.ready());
  marks.open_gate();
}

TEST(AsyncResult, IsThereAfterItsPoolHasEnded) {
  std::optional<AsyncResult<int>> good;
  std::optional<AsyncResult<int>> bad;
  {
    Pool pool{session()};
    good = pool.apply_async(square, 3);
    bad = pool.apply_async(fail, 3);
  }
  EXPECT_TRUE(good->ready());
  EXPECT_EQ(good->get(), 9);
  EXPECT_THROW((void)bad->get(), TaskError);
}

TEST(MapAsync, ReadsItsInputAtOnce) {
  Pool pool{session()};
  int read = 0;
  auto result =
      pool.map_async(square, std::views::iota(0, 1000) | std::views::transform([&](int x) { return ++read, x; }));
  EXPECT_EQ(read, 1000);
  EXPECT_EQ(result.get()[999], 999 * 999);
}

// ---- while the program computes ----

TEST(Work, GoesOnWhileTheProgramDoesSomethingElse) {
  if (alone()) return;
  const test::Marks marks;
  Pool pool{session()};
  // One task at a time and none waiting on a worker: each needs the master.
  const auto result = pool.map_async(test::MarkAndReturn{marks.path()}, numbers(500), {.chunk = 1, .prefetch = 0});
  EXPECT_TRUE(comes_true([&] { return marks.count() == 500; }));
  EXPECT_EQ(result.get(), numbers(500));
}

TEST(Work, ThatIsCalledBackForIsSoWhileTheProgramDoesSomethingElse) {
  if (alone()) return;
  Pool pool{session()};
  std::atomic<int> called = 0;
  std::vector<AsyncResult<int>> results;
  for (int i = 0; i < 50; ++i) {
    results.push_back(pool.apply_async(square, i));
    results.back().then([&](int) { ++called; });
  }
  EXPECT_TRUE(comes_true([&] { return called == 50; }));
}

// ---- callbacks ----

TEST(Callbacks, AreCalledOnceWithTheValue) {
  Pool pool{session()};
  std::atomic<int> before = 0;
  std::atomic<int> errors = 0;
  auto result = pool.apply_async(square, 4);
  result.then([&](int value) { before += value; }).on_error([&](std::exception_ptr) { ++errors; });
  EXPECT_EQ(result.get(), 16);
  int after = 0;
  result.then([&](int value) { after += value; });
  EXPECT_EQ(after, 16) << "at once where the result is there";
  pool.close();
  pool.join();
  EXPECT_EQ(before, 16);
  EXPECT_EQ(errors, 0);
}

TEST(Callbacks, OfErrorsAreCalledOnceWithWhatGetThrows) {
  Pool pool{session()};
  std::atomic<int> values = 0;
  std::atomic<int> before = 0;
  const auto count = [](std::atomic<int>& counter) {
    return [&counter](const std::exception_ptr& error) {
      try {
        std::rethrow_exception(error);
      } catch (const TaskError& e) {
        counter += e.message == "4" ? 1 : 100;
      }
    };
  };
  auto result = pool.apply_async(fail, 4);
  result.then([&](int) { ++values; }).on_error(count(before));
  result.wait();
  std::atomic<int> after = 0;
  result.on_error(count(after));
  pool.close();
  pool.join();
  EXPECT_EQ(before, 1);
  EXPECT_EQ(after, 1);
  EXPECT_EQ(values, 0);
}

TEST(Callbacks, OfAWholeMapGetAllOfIt) {
  Pool pool{session()};
  std::atomic<int> calls = 0;
  std::atomic<std::size_t> size = 0;
  pool.map_async(square, numbers(50)).then([&](const std::vector<int>& all) {
    ++calls;
    size = all.size();
  });
  pool.starmap_async([](int a, int b) { return a + b; }, std::vector<std::pair<int, int>>{{1, 2}})
      .then([&](const std::vector<int>& all) { calls += all.at(0) == 3 ? 1 : 100; });
  pool.close();
  pool.join();
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(size, 50);
}

TEST(Callbacks, MayUseThePool) {
  Pool pool{session()};
  std::atomic<int> sum = 0;
  std::vector<AsyncResult<int>> results;
  for (int i = 0; i < 20; ++i) {
    results.push_back(pool.apply_async(square, i));
    results.back().then([&](int value) {
      sum += pool.apply([](int x) { return x + 1; }, value);
      sum += pool.map(square, numbers(3))[2] - 4;
      pool.apply_async(square, 1).then([&](int one) { sum += one - 1; });
    });
    if (i % 5 == 0) usleep(3000);
  }
  for (const auto& result : results) result.wait();
  EXPECT_TRUE(comes_true([&] {
    (void)results.back().ready();
    return sum == 2470 + 20;
  })) << sum;
}

TEST(Callbacks, MayUseThePoolWhileTheProgramWaitsInIt) {
  const test::Marks marks;
  Pool pool{session()};
  if (pool.workers() < 2) return;
  // The map ends when the callback has called back: which it must be able to do from whatever thread it runs on.
  for (const bool on_another_thread : {false, true}) {
    auto trigger = pool.apply_async(square, 2);
    std::atomic<bool> begun = false;
    std::atomic<bool> waits = false;
    const std::string gate = marks.path() + (on_another_thread ? "1" : "0");
    trigger.then([&](int) {
      begun = true;
      if (on_another_thread) (void)comes_true([&] { return waits.load(); });
      usleep(20'000);
      EXPECT_EQ(pool.apply(square, 3), 9);
      std::ofstream{gate + ".gate"};
    });
    if (on_another_thread) {
      EXPECT_TRUE(comes_true([&] { return begun.load(); }));
    }
    waits = true;
    EXPECT_EQ(pool.map(test::WaitAtGate{gate, 0}, numbers(3)), numbers(3));
  }
}

TEST(Callbacks, HaveEndedWhenJoinReturns) {
  if (alone()) return;  // there is no other thread
  for (int i = 0; i < 5; ++i) {
    std::atomic<bool> begun = false;
    std::atomic<bool> ended = false;
    Pool pool{session()};
    pool.apply_async(square, 2).then([&](int) {
      begun = true;
      usleep(30'000);
      ended = true;
    });
    ASSERT_TRUE(comes_true([&] { return begun.load(); })) << "the program is not in the pool";
    pool.close();
    pool.join();
    EXPECT_TRUE(ended);
  }
}

TEST(Callbacks, HaveEndedWhenTheirPoolEnds) {
  for (int i = 0; i < 20; ++i) {
    std::atomic<int> ended = 0;
    {
      Pool pool{session()};
      for (int task = 0; task < 10; ++task) {
        pool.apply_async(square, 2).then([&](int) {
          usleep(200);
          ++ended;
        });
      }
      usleep(static_cast<useconds_t>(i * 100));
    }
    EXPECT_EQ(ended, 10);
  }
}

TEST(Callbacks, LookAtAValueThatIsMovedOutOnlyAfterwards) {
  Pool pool{session()};
  for (int i = 0; i < 50; ++i) {
    std::atomic<std::size_t> seen = 0;
    auto result = pool.map_async(square, numbers(100));
    result.then([&](const std::vector<int>& all) {
      usleep(300);
      seen = all.size();
    });
    if (i % 2 == 0) usleep(2000);
    EXPECT_EQ(std::move(result).get().size(), 100);
    EXPECT_EQ(seen, 100);
  }
}

TEST(Callbacks, ThatThrowStopNothingAndAreThrownByJoin) {
  Pool pool{session()};
  std::atomic<int> called = 0;
  std::vector<AsyncResult<int>> results;
  for (int i = 0; i < 30; ++i) {
    results.push_back(pool.apply_async(square, i));
    results.back().then([&, i](int) {
      ++called;
      if (i % 3 == 0) throw std::domain_error("a callback");
    });
    results.back().then([&](int) { ++called; });
  }
  for (int i = 0; i < 30; ++i) EXPECT_EQ(results[static_cast<std::size_t>(i)].get(), i * i);
  EXPECT_EQ(pool.map(square, numbers(10)).size(), 10);
  pool.close();
  EXPECT_THROW(pool.join(), std::domain_error);
  EXPECT_EQ(called, 60);
  EXPECT_NO_THROW(pool.join()) << "once";
}

TEST(Callbacks, OfManyThreadsWorthOfResultsAreEachCalledOnce) {
  Pool pool{session()};
  constexpr int count = 2000;
  std::vector<std::atomic<int>> calls(count);
  for (int i = 0; i < count; ++i) {
    pool.apply_async(square, i).then([&calls, i](int) { ++calls[static_cast<std::size_t>(i)]; });
    if (i % 100 == 0) usleep(1500);  // lets the other thread have some
  }
  pool.close();
  pool.join();
  for (int i = 0; i < count; ++i) EXPECT_EQ(calls[static_cast<std::size_t>(i)], 1) << i;
}

}  // namespace
}  // namespace echelon::pool
