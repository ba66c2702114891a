// A pool's life, what it does beside others, and what it says of itself.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <echelon/pool/pool.hpp>

#include "support/marks.hpp"
#include "support/mpi_session.hpp"

namespace echelon::pool {
namespace {

using namespace std::chrono_literals;
using test::comes_true;
using test::session;
using testing::ElementsAre;
using testing::HasSubstr;

int square(int x) { return x * x; }

std::vector<int> numbers(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

bool alone() { return session().size() == 1; }

int rank_of_this_process(int) {
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  return rank == nullptr ? 0 : std::atoi(rank);
}

// ---- close, join, terminate, the destructor ----

TEST(Closing, RefusesCallsThatComeLater) {
  Pool pool{session()};
  const auto before = pool.apply_async(square, 3);
  pool.close();
  pool.close();
  EXPECT_THROW((void)pool.apply(square, 1), std::logic_error);
  EXPECT_THROW((void)pool.apply_async(square, 1), std::logic_error);
  EXPECT_THROW((void)pool.map(square, numbers(3)), std::logic_error);
  EXPECT_THROW((void)pool.map_async(square, numbers(3)), std::logic_error);
  EXPECT_THROW((void)pool.starmap(std::plus<int>{}, std::vector<std::pair<int, int>>{}), std::logic_error);
  EXPECT_THROW((void)pool.imap(square, numbers(3)), std::logic_error);
  EXPECT_THROW((void)pool.imap_unordered(square, numbers(3)), std::logic_error);
  EXPECT_THROW((void)pool.outcomes(square, numbers(3)), std::logic_error);
  EXPECT_EQ(before.get(), 9) << "what was submitted before goes on";
}

TEST(Closing, LeavesImapGoOn) {
  Pool pool{session()};
  auto results = pool.imap(square, numbers(100), {.window = 5});
  pool.close();
  pool.join();
  int count = 0;
  while (results.next()) ++count;
  EXPECT_EQ(count, 100);
}

TEST(Joining, ComesAfterClosing) {
  Pool pool{session()};
  EXPECT_THROW(pool.join(), std::logic_error);
  pool.close();
  EXPECT_NO_THROW(pool.join());
  EXPECT_NO_THROW(pool.join());
}

TEST(Joining, WaitsForAllThatWasSubmitted) {
  const test::Marks marks;
  Pool pool{session()};
  for (int i = 0; i < 20; ++i) (void)pool.apply_async(test::MarkAndReturn{marks.path()}, i);
  (void)pool.map_async(test::MarkAndReturn{marks.path()}, numbers(30));
  pool.close();
  pool.join();
  EXPECT_EQ(marks.count(), 50);
}

TEST(Terminating, GivesUpWhatHasNotBegun) {
  const test::Marks marks;
  const test::Marks begins;
  const test::Marks gate;
  Pool pool{session()};
  std::vector<AsyncResult<int>> begun;
  for (int i = 1; i < session().size(); ++i) {
    begun.push_back(pool.apply_async(test::MarkAndWait{begins.path(), gate.path()}, i));
  }
  ASSERT_TRUE(comes_true([&] { return begins.count() == begun.size(); }));
  const auto one = pool.apply_async(test::MarkAndReturn{marks.path()}, 1);
  const auto many = pool.map_async(test::MarkAndReturn{marks.path()}, numbers(100));
  auto stream = pool.imap(test::MarkAndReturn{marks.path()}, numbers(100));
  pool.terminate();
  EXPECT_THROW((void)one.get(), std::runtime_error);
  EXPECT_THROW((void)many.get(), std::runtime_error);
  EXPECT_THROW((void)stream.next(), std::runtime_error);
  EXPECT_FALSE(stream.next().has_value());
  for (const auto& result : begun) EXPECT_THROW((void)result.get(), std::runtime_error);
  EXPECT_TRUE(one.ready());
  EXPECT_FALSE(one.successful());
  EXPECT_THROW((void)pool.apply(square, 1), std::logic_error) << "and closes";
  pool.join();
  // Workers hear of it in the middle of a task: only those are left that have begun.
  const auto crew = detail::crew(session());
  EXPECT_TRUE(
      crew->wait([&] { return crew->open_jobs() <= begun.size(); }, detail::Clock::now() + std::chrono::seconds{30}))
      << "tasks were not taken back";
  gate.open_gate();
  Pool next{session()};
  EXPECT_EQ(next.map(square, numbers(100))[99], 99 * 99);
  EXPECT_EQ(marks.count(), 0);
}

TEST(Terminating, CallsBackBeforeItReturns) {
  const test::Marks gate;
  Pool pool{session()};
  std::atomic<int> errors = 0;
  for (int i = 0; i < 10; ++i) {
    pool.apply_async(test::WaitAtGate{gate.path(), 0}, 0)
        .then([&](int) { errors += 100; })
        .on_error([&](const std::exception_ptr&) { ++errors; });
  }
  pool.terminate();
  EXPECT_EQ(errors, 10);
  gate.open_gate();
}

TEST(Terminating, FromACallbackIsFine) {
  Pool pool{session()};
  std::atomic<bool> called = false;
  auto result = pool.apply_async(square, 3);
  result.then([&](int) {
    pool.terminate();
    called = true;
  });
  result.wait();
  EXPECT_TRUE(comes_true([&] {
    (void)result.ready();
    return called.load();
  }));
  pool.join();
}

TEST(Destruction, WaitsForWhatWasSubmitted) {
  const test::Marks marks;
  {
    Pool pool{session()};
    for (int i = 0; i < 20; ++i) (void)pool.apply_async(test::MarkAndReturn{marks.path()}, i);
  }
  EXPECT_EQ(marks.count(), 20);
}

TEST(Destruction, ByAnExceptionTerminates) {
  const test::Marks gate;
  std::optional<AsyncResult<int>> result;
  try {
    const Pool pool_outside_is_not_ended{session()};
    Pool pool{session()};
    for (int i = 0; i < 30; ++i) result = pool.apply_async(test::WaitAtGate{gate.path(), 0}, 0);
    throw std::domain_error("out");
  } catch (const std::domain_error&) {
  }
  EXPECT_THROW((void)result->get(), std::runtime_error);
  gate.open_gate();
}

TEST(Destruction, InsideACatchWaitsAllTheSame) {
  const test::Marks marks;
  struct UsesAPoolWhenDestroyed {
    const test::Marks& marks;
    ~UsesAPoolWhenDestroyed() {
      Pool pool{session()};
      (void)pool.apply_async(test::MarkAndReturn{marks.path()}, 1);
    }
  };
  try {
    const UsesAPoolWhenDestroyed user{marks};
    throw std::domain_error("out");
  } catch (const std::domain_error&) {
  }
  EXPECT_EQ(marks.count(), 1);
}

// ---- several pools ----

TEST(Pools, FollowEachOther) {
  for (int i = 0; i < 50; ++i) {
    Pool pool{session()};
    EXPECT_EQ(pool.apply(square, i), i * i);
  }
}

TEST(Pools, StandSideBySide) {
  Pool first{session()};
  Pool second{session()};
  const auto a = first.map_async(square, numbers(100));
  const auto b = second.map_async([](int x) { return -x; }, numbers(100));
  first.close();
  first.join();
  EXPECT_EQ(second.apply(square, 5), 25);
  second.terminate();
  EXPECT_EQ(a.get()[9], 81);
}

TEST(Pools, MayEndWhileAnotherWorks) {
  Pool first{session()};
  const auto result = first.map_async([](int x) { return usleep(1000), x; }, numbers(50), {.chunk = 1});
  for (int i = 0; i < 5; ++i) {
    Pool second{session()};
    EXPECT_EQ(second.apply(square, 5), 25);
  }
  EXPECT_EQ(result.get(), numbers(50));
}

// ---- misuse that would hang ----

Pool* pool_of_this_rank = nullptr;

TEST(APoolUsedFromInside, ItsOwnTaskThrows) {
  Pool pool{session(), {.master_works = true}};
  pool_of_this_rank = &pool;
  const auto task = [](int x) {
    usleep(1000);
    return pool_of_this_rank == nullptr ? x : pool_of_this_rank->apply(square, x);  // nullptr on other ranks
  };
  const auto outcomes = pool.outcomes(task, numbers(200), {.chunk = 1});
  int thrown = 0;
  for (const auto& outcome : outcomes) {
    if (outcome.ok()) continue;
    ++thrown;
    EXPECT_EQ(outcome.error().rank, 0);
    EXPECT_EQ(outcome.error().type, "std::logic_error");
    EXPECT_THAT(outcome.error().message, HasSubstr("from inside"));
  }
  EXPECT_GT(thrown, 0);
  pool_of_this_rank = nullptr;
  EXPECT_EQ(pool.apply(square, 3), 9) << "the pool goes on";
}

TEST(APoolUsedFromInside, AnInputThrows) {
  Pool pool{session()};
  const auto input = std::views::iota(0, 10) | std::views::transform([&](int x) { return pool.apply(square, x); });
  EXPECT_THROW((void)pool.map(square, input), std::logic_error);
  EXPECT_EQ(pool.map_async(square, input).get()[2], 16) << "which reads before it begins";
  EXPECT_EQ(pool.apply(square, 3), 9) << "the pool goes on";
}

// ---- report ----

void expect_sound(const measure::Record& record) {
  ASSERT_EQ(record.ranks.size(), session().size());
  EXPECT_EQ(record.command, "pool");
  for (const measure::RankRecord& rank : record.ranks) {
    EXPECT_EQ(rank.role, rank.rank == 0 ? "master" : "worker");
    EXPECT_FALSE(rank.lost);
    EXPECT_EQ(rank.tasks, rank.items);
    for (const double part : {rank.startup_s, rank.compute_s, rank.communicate_s, rank.wait_s}) EXPECT_GE(part, 0);
    EXPECT_NEAR(rank.startup_s + rank.compute_s + rank.communicate_s + rank.wait_s, rank.wall_s,
                1e-6 * rank.wall_s + 1e-6);
  }
}

std::uint64_t tasks_of(const measure::Record& record) {
  std::uint64_t tasks = 0;
  for (const auto& rank : record.ranks) tasks += rank.tasks;
  return tasks;
}

TEST(Report, AccountsForEachTaskAndEachSecond) {
  Pool pool{session()};
  const measure::Record before = pool.report();
  expect_sound(before);
  (void)pool.map([](int x) { return usleep(500), x; }, numbers(100));
  (void)pool.outcomes([](int x) { return x == 3 ? throw x : x; }, numbers(10), {.retries = 1});
  const measure::Record after = pool.report();
  expect_sound(after);
  EXPECT_EQ(tasks_of(after) - tasks_of(before), 100 + 10 + 1) << "the retry counts";
  const auto count = [&](const char* name) {
    return measure::get<std::uint64_t>(after.result, name) - measure::get<std::uint64_t>(before.result, name);
  };
  EXPECT_EQ(count("tasks"), 109);
  EXPECT_EQ(count("failed"), 1);
  double compute = 0;
  for (std::size_t rank = 0; rank < after.ranks.size(); ++rank) {
    compute += after.ranks[rank].compute_s - before.ranks[rank].compute_s;
  }
  EXPECT_GE(compute, 0.050);
  if (!alone()) {
    EXPECT_EQ(after.ranks[0].tasks, before.ranks[0].tasks) << "the master runs none";
  }
}

TEST(Report, CanBeHadWhileWorkGoesOn) {
  const test::Marks gate;
  Pool pool{session()};
  auto results = pool.imap(square, std::views::iota(0, 1000), {.window = 10});
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(results.next(), i * i);
    if (i % 100 == 0) expect_sound(pool.report());
  }
}

TEST(Workers, AreTheRanksThatRunTasks) {
  Pool pool{session()};
  EXPECT_EQ(pool.workers(), std::max(1, session().size() - 1));
  const std::vector<int> ranks =
      pool.map([](int x) { return usleep(2000), rank_of_this_process(x); }, numbers(30), {.chunk = 1, .prefetch = 0});
  const std::set<int> different{ranks.begin(), ranks.end()};
  EXPECT_EQ(different.size(), pool.workers());
  EXPECT_EQ(different.contains(0), alone());
}

// ---- the master works too ----

TEST(AMasterThatWorks, RunsItsShareAndAllIsRight) {
  Pool pool{session(), {.master_works = true}};
  EXPECT_EQ(pool.workers(), session().size());
  EXPECT_EQ(pool.map(square, numbers(20'000))[19'999], 19'999 * 19'999);
  const std::vector<int> ranks =
      pool.map([](int x) { return usleep(1000), rank_of_this_process(x); }, numbers(200), {.chunk = 1});
  EXPECT_GT(std::ranges::count(ranks, 0), 0);
  if (!alone()) {
    EXPECT_GT(std::ranges::count_if(ranks, [](int rank) { return rank > 0; }), 0);
  }
}

TEST(AMasterThatWorks, KeepsTheOthersBusyWhileItRunsALongTask) {
  if (alone()) return;
  const test::Marks marks;
  Pool pool{session(), {.master_works = true}};
  struct LongOnTheMaster {
    std::string path;
    int operator()(int x) const {
      if (rank_of_this_process(0) != 0) return test::leave_mark(path), x;
      // Until the others have done nearly all: each of their tasks needs the master.
      if (!comes_true([&] { return std::filesystem::exists(path) && std::filesystem::file_size(path) >= 5 * 150; })) {
        throw std::runtime_error("the others had nothing to do");
      }
      return x;
    }
    void serialize(boost::archive::binary_oarchive& archive, unsigned) { archive& path; }
    void serialize(boost::archive::binary_iarchive& archive, unsigned) { archive& path; }
  };
  EXPECT_EQ(pool.map(LongOnTheMaster{marks.path()}, numbers(200), {.chunk = 1, .prefetch = 0}), numbers(200));
}

TEST(AMasterThatWorks, DoesSoAsLongAsOnePoolSaysSo) {
  if (alone()) return;
  Pool works{session(), {.master_works = true}};
  {
    const Pool does_not{session()};
    EXPECT_EQ(works.workers(), session().size());
  }
  EXPECT_EQ(works.workers(), session().size());
  { Pool also{session(), {.master_works = true}}; }
  EXPECT_EQ(works.workers(), session().size());
}

TEST(AMasterThatWorks, StopsWithItsPool) {
  { const Pool works{session(), {.master_works = true}}; }
  Pool pool{session()};
  EXPECT_EQ(pool.workers(), std::max(1, session().size() - 1));
}

// ---- many ----

TEST(Many, CallsOneAfterTheOther) {
  Pool pool{session()};
  for (int i = 0; i < 10'000; ++i) ASSERT_EQ(pool.apply(square, i % 1000), (i % 1000) * (i % 1000));
  for (int i = 0; i < 100; ++i) ASSERT_EQ(pool.map(square, numbers(50))[49], 49 * 49);
}

TEST(Many, CallsOutstanding) {
  Pool pool{session()};
  std::vector<AsyncResult<int>> results;
  for (int i = 0; i < 20'000; ++i) results.push_back(pool.apply_async(square, i % 1000));
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_EQ(results[static_cast<std::size_t>(i)].get(), (i % 1000) * (i % 1000));
  }
}

TEST(Many, CallsWhoseResultsNobodyWants) {
  const test::Marks marks;
  Pool pool{session()};
  for (int i = 0; i < 20'000; ++i) (void)pool.apply_async(square, i % 1000);
  (void)pool.apply_async(test::MarkAndReturn{marks.path()}, 1);
  pool.close();
  pool.join();
  EXPECT_EQ(marks.count(), 1);
}

std::uint64_t most_memory(const measure::Record& record) {
  std::uint64_t bytes = 0;
  for (const auto& rank : record.ranks) bytes = std::max(bytes, rank.max_rss_bytes);
  return bytes;
}

TEST(Many, TasksOfImapTakeNoMoreMemoryThanFew) {
  Pool pool{session()};
  const auto run = [&](int tasks) {
    long sum = 0;
    for (const long x : pool.imap([](int x) { return 2L * x; }, std::views::iota(0, tasks))) sum += x;
    EXPECT_EQ(sum, static_cast<long>(tasks) * (tasks - 1));
  };
  run(200'000);
  const std::uint64_t before = most_memory(pool.report());
  run(2'000'000);
  constexpr std::uint64_t mib = 1 << 20;
  EXPECT_LT(most_memory(pool.report()), before + 8 * mib);
}

TEST(Many, CallsTakeNoMoreMemoryThanFew) {
  Pool pool{session()};
  const auto run = [&](int calls) {
    for (int i = 0; i < calls; ++i) {
      (void)pool.apply_async(square, 1);
      if (i % 500 == 0) pool.apply([](int) {}, 2);
    }
    EXPECT_EQ(pool.map_async(square, numbers(10)).get()[3], 9);
  };
  run(10'000);
  const std::uint64_t before = most_memory(pool.report());
  run(100'000);
  constexpr std::uint64_t mib = 1 << 20;
  EXPECT_LT(most_memory(pool.report()), before + 16 * mib);
}

}  // namespace
}  // namespace echelon::pool
