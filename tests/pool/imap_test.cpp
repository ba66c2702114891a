// Results while they come: order, laziness, errors, leaving early.
#include <algorithm>
#include <numeric>
#include <set>
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
using testing::ElementsAre;
using testing::IsEmpty;

int square(int x) { return x * x; }

int throw_at_odd(int x) {
  if (x % 2 == 1) throw std::runtime_error(std::to_string(x));
  return x;
}

std::vector<int> numbers(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

/// All that is left, in the order in which it comes.
template <typename R>
std::vector<R> rest(Results<R>& results) {
  std::vector<R> all;
  while (auto value = results.next()) all.push_back(std::move(*value));
  return all;
}

TEST(Imap, GivesResultsInTheOrderOfTheInput) {
  Pool pool{session()};
  int expected = 0;
  for (const int result : pool.imap(square, std::views::iota(0, 5000))) {
    ASSERT_EQ(result, expected * expected);
    ++expected;
  }
  EXPECT_EQ(expected, 5000);
}

TEST(Imap, GivesTheSameWhateverChunkAndWindow) {
  Pool pool{session()};
  for (const std::uint64_t chunk : {1, 7, 100, 1000}) {
    for (const std::uint64_t window : {0, 1, 2, 5, 100, 10'000}) {
      auto results = pool.imap(square, std::views::iota(0, 300), {.chunk = chunk, .window = window});
      const std::vector<int> all = rest(results);
      ASSERT_EQ(all.size(), 300) << chunk << ' ' << window;
      EXPECT_EQ(all[299], 299 * 299);
    }
  }
}

TEST(Imap, OfAnEmptyInputEndsAtOnce) {
  Pool pool{session()};
  auto results = pool.imap(square, std::vector<int>{});
  EXPECT_EQ(results.begin(), results.end());
  EXPECT_FALSE(results.next().has_value());
  EXPECT_FALSE(results.next().has_value()) << "and stays at its end";
}

TEST(Imap, GivesResultsOfVoidAndWithoutADefault) {
  Pool pool{session()};
  struct NoDefault {
    explicit NoDefault(int v) : value{v} {}
    int value;
  };
  auto results = pool.imap([](int x) { return NoDefault{x}; }, std::vector{1, 2});
  EXPECT_EQ(results.next()->value, 1);
  EXPECT_EQ(results.next()->value, 2);
  int count = 0;
  for ([[maybe_unused]] std::monostate none : pool.imap([](int) {}, numbers(10))) ++count;
  EXPECT_EQ(count, 10);
}

TEST(Imap, TakesARangeThatItOwnsOrThatTheCallerKeeps) {
  Pool pool{session()};
  auto owned = pool.imap([](const std::string& s) { return s + "!"; }, std::vector<std::string>{"a", "b"});
  EXPECT_THAT(rest(owned), ElementsAre("a!", "b!"));
  const std::vector<std::string> kept{"c", "d"};
  auto borrowed = pool.imap([](const std::string& s) { return s + "!"; }, kept);
  EXPECT_THAT(rest(borrowed), ElementsAre("c!", "d!"));
}

TEST(Imap, CanBeMovedWhileItRuns) {
  Pool pool{session()};
  auto results = pool.imap(square, numbers(100));
  EXPECT_EQ(results.next(), 0);
  auto moved = std::move(results);
  EXPECT_EQ(rest(moved).size(), 99);
}

// ---- laziness ----

TEST(Imap, ReadsNoMoreThanAWindowAhead) {
  Pool pool{session()};
  constexpr int window = 50;
  int read = 0;
  int most_ahead = 0;
  int taken = 0;
  const auto input = std::views::iota(0, 2000) | std::views::transform([&](int x) {
                       ++read;
                       most_ahead = std::max(most_ahead, read - taken);
                       return x;
                     });
  auto results = pool.imap(square, input, {.window = window});
  while (results.next()) ++taken;
  EXPECT_EQ(taken, 2000);
  EXPECT_LE(most_ahead, window + 1);  // the one that is being taken still counts as not taken here
  EXPECT_EQ(read, 2000);
}

TEST(Imap, ReadsNothingWhileNobodyTakes) {
  Pool pool{session()};
  int read = 0;
  const auto input = std::views::iota(0) | std::views::transform([&](int x) { return ++read, x; });
  auto results = pool.imap(square, input, {.window = 20});
  EXPECT_LE(read, 20);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(results.next(), i * i);
  EXPECT_LE(read, 120);
}

TEST(Imap, ReadsItsInputOnTheThreadThatTakes) {
  Pool pool{session()};
  const std::thread::id me = std::this_thread::get_id();
  std::atomic<int> elsewhere = 0;
  const auto input = std::views::iota(0, 300) | std::views::transform([&](int x) {
                       if (std::this_thread::get_id() != me) ++elsewhere;
                       return x;
                     });
  // Callbacks that use the pool, on whatever thread they run, meanwhile.
  std::vector<AsyncResult<int>> others;
  std::atomic<int> called = 0;
  auto results = pool.imap(square, input, {.chunk = 1, .window = 10});
  while (results.next()) {
    others.push_back(pool.apply_async(square, 3));
    others.back().then([&](int) {
      EXPECT_EQ(pool.apply(square, 4), 16);
      ++called;
    });
    if (others.size() % 20 == 0) usleep(3000);
  }
  for (const auto& other : others) other.wait();
  EXPECT_EQ(elsewhere, 0);
  EXPECT_TRUE(comes_true([&] {
    (void)others.back().ready();
    return called == 300;
  }));
}

// ---- errors ----

TEST(ImapErrors, StandWhereTheResultWould) {
  Pool pool{session()};
  for (const std::uint64_t chunk : {1, 4, 100}) {
    auto results = pool.imap(throw_at_odd, numbers(20), {.chunk = chunk});
    for (int i = 0; i < 20; ++i) {
      if (i % 2 == 0) {
        EXPECT_EQ(results.next(), i);
        continue;
      }
      try {
        (void)results.next();
        ADD_FAILURE() << "no error of " << i;
      } catch (const TaskError& error) {
        EXPECT_EQ(error.index, i);
        EXPECT_EQ(error.message, std::to_string(i));
      }
    }
    EXPECT_FALSE(results.next().has_value());
  }
}

TEST(ImapErrors, CanBeGoneOnAfterByIterator) {
  Pool pool{session()};
  auto results = pool.imap(throw_at_odd, numbers(9), {.chunk = 2});
  std::vector<int> good;
  int bad = 0;
  for (auto at = results.begin(); at != results.end(); ++at) {
    try {
      good.push_back(*at);
    } catch (const TaskError&) {
      ++bad;
    }
  }
  EXPECT_THAT(good, ElementsAre(0, 2, 4, 6, 8));
  EXPECT_EQ(bad, 4);
}

TEST(ImapErrors, ComeAsOutcomesWithoutAThrow) {
  Pool pool{session()};
  auto results = pool.imap(throw_at_odd, numbers(2));
  EXPECT_EQ(results.next_outcome()->value(), 0);
  EXPECT_EQ(results.next_outcome()->error().index, 1);
  EXPECT_FALSE(results.next_outcome().has_value());
}

TEST(ImapErrors, OfTheInputComeAfterAllResultsBeforeIt) {
  Pool pool{session()};
  const auto input = std::views::iota(0, 100) | std::views::transform([](int x) {
                       if (x == 30) throw std::overflow_error("no more input");
                       return x;
                     });
  auto results = pool.imap(square, input, {.chunk = 7});
  for (int i = 0; i < 30; ++i) EXPECT_EQ(results.next(), i * i);
  EXPECT_THROW((void)results.next(), std::overflow_error);
  EXPECT_FALSE(results.next().has_value()) << "and it ends";

  auto unordered = pool.imap_unordered(square, input, {.chunk = 7});
  int count = 0;
  EXPECT_THROW(while (unordered.next())++ count, std::overflow_error);
  EXPECT_EQ(count, 30);
}

// ---- time limits ----

TEST(NextFor, ThrowsTimeoutErrorAndLosesNothing) {
  const test::Marks marks;
  Pool pool{session()};
  const bool alone = session().size() == 1;
  // Alone, the master runs the task itself and cannot look at the clock meanwhile.
  auto results = pool.imap(test::WaitAtGate{marks.path(), alone ? -1 : 0}, numbers(5), {.chunk = 1});
  if (!alone) {
    EXPECT_THROW((void)results.next_for(20ms), TimeoutError);
    EXPECT_THROW((void)results.next_for(0ms), TimeoutError);
    EXPECT_THROW((void)results.next_for(-1s), TimeoutError);
    marks.open_gate();
  }
  for (int i = 0; i < 5; ++i) EXPECT_EQ(results.next_for(60s), i);
  EXPECT_FALSE(results.next_for(1s).has_value());
}

TEST(NextFor, TakesLimitsThatTheClockCannotHold) {
  Pool pool{session()};
  auto results = pool.imap(square, numbers(4));
  EXPECT_EQ(results.next_for(std::chrono::hours::max()), 0);
  EXPECT_EQ(results.next_for(std::chrono::nanoseconds::max()), 1);
  EXPECT_EQ(results.next_for(std::chrono::duration<double>{INFINITY}), 4);
}

TEST(NextFor, IsLookedAtBetweenTasksWhereTheMasterIsAlone) {
  if (session().size() > 1) return;
  Pool pool{session()};
  const auto slow = [](int x) { return usleep(20'000), x; };
  auto background = pool.map_async(slow, numbers(200), {.chunk = 1});  // 4 s
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(background.wait_for(50ms));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);
  pool.terminate();
}

// ---- leaving early ----

TEST(LeavingImapEarly, RunsNothingThatHasNotBegun) {
  const test::Marks marks;
  Pool pool{session()};
  constexpr int window = 1000;
  for (const int result : pool.imap(
           [](const std::string& path) {
             test::leave_mark(path);
             return usleep(1000);
           },
           std::views::iota(0, 1'000'000) | std::views::transform([&](int) { return marks.path(); }),
           {.chunk = 50, .window = window})) {
    EXPECT_EQ(result, 0);
    break;
  }
  EXPECT_EQ(pool.apply(square, 3), 9) << "later calls work";
  std::size_t before = 0;
  EXPECT_TRUE(comes_true([&] { return std::exchange(before, marks.count()) == marks.count() && usleep(20'000) == 0; }));
  // What each worker was at, or began until it heard: not the window, and not what it held.
  EXPECT_LT(marks.count(), window / 2);
  const std::size_t at_end = marks.count();
  usleep(20'000);
  EXPECT_EQ(marks.count(), at_end);
}

TEST(LeavingImapEarly, DropsResultsThatComeLater) {
  const test::Marks marks;
  Pool pool{session()};
  if (session().size() > 1) {
    auto results = pool.imap(test::WaitAtGate{marks.path(), 0}, numbers(100), {.chunk = 1});
    EXPECT_THROW((void)results.next_for(5ms), TimeoutError);
  }
  marks.open_gate();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(pool.map(square, numbers(20))[19], 361);
}

TEST(LeavingImapEarly, BeforeTheFirstResultIsFine) {
  Pool pool{session()};
  for (int i = 0; i < 200; ++i) (void)pool.imap(square, std::views::iota(0));
  EXPECT_EQ(pool.apply(square, 3), 9);
}

TEST(LeavingImapEarly, ByAnExceptionIsFine) {
  Pool pool{session()};
  for (int i = 0; i < 20; ++i) {
    try {
      for (const int result : pool.imap(square, std::views::iota(0))) {
        if (result == 100) throw std::runtime_error("enough");
      }
    } catch (const std::runtime_error&) {
    }
  }
  EXPECT_EQ(pool.apply(square, 3), 9);
}

// ---- several, and out of order ----

TEST(Imap, TwoAtOnceDoNotMixOrWaitForEachOther) {
  Pool pool{session()};
  auto squares = pool.imap(square, std::views::iota(0, 300), {.window = 5});
  auto texts = pool.imap([](int x) { return std::to_string(x); }, std::views::iota(0, 300), {.window = 5});
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(squares.next(), i * i);
    if (i % 3 == 0) {
      EXPECT_EQ(texts.next(), std::to_string(i / 3));
    }
  }
  EXPECT_EQ(rest(texts).size(), 200);
}

TEST(Imap, GoesOnBesideOtherCalls) {
  Pool pool{session()};
  int i = 0;
  for (const int result : pool.imap(square, std::views::iota(0, 100))) {
    EXPECT_EQ(result, i * i);
    ++i;
    EXPECT_EQ(pool.apply(square, i), i * i);
    if (i % 10 == 0) {
      EXPECT_EQ(pool.map(square, numbers(i)).size(), i);
    }
  }
  EXPECT_EQ(i, 100);
}

TEST(ImapUnordered, GivesEachResultOnce) {
  Pool pool{session()};
  auto results = pool.imap_unordered([](int x) { return usleep(static_cast<useconds_t>(x % 5 * 100)), x; },
                                     numbers(1000), {.window = 100});
  std::vector<int> all = rest(results);
  std::ranges::sort(all);
  EXPECT_EQ(all, numbers(1000));
}

TEST(ImapUnordered, DoesNotLetTheSlowHoldUpTheFast) {
  const test::Marks marks;
  Pool pool{session()};
  if (pool.workers() < 2) return;  // the slow one has the only worker
  // Nothing waits on a worker behind another task: what is too short to be worth taking back would.
  auto results = pool.imap_unordered(test::WaitAtGate{marks.path(), 0}, numbers(200), {.chunk = 1, .prefetch = 0});
  std::set<int> fast;
  for (int i = 1; i < 200; ++i) fast.insert(results.next().value());
  EXPECT_FALSE(fast.contains(0));
  EXPECT_EQ(fast.size(), 199);
  marks.open_gate();
  EXPECT_EQ(results.next(), 0);
  EXPECT_FALSE(results.next().has_value());
}

TEST(ImapUnordered, GoesOnAfterErrors) {
  Pool pool{session()};
  auto results = pool.imap_unordered(throw_at_odd, numbers(100));
  int good = 0;
  int bad = 0;
  while (auto outcome = results.next_outcome()) ++(outcome->ok() ? good : bad);
  EXPECT_EQ(good, 50);
  EXPECT_EQ(bad, 50);
}

}  // namespace
}  // namespace echelon::pool
