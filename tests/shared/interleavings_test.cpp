// Short random programs over queues, pipes, locks and values, many a run: a deadlock or a lost item that one order of
// events in a thousand brings. Each ends by how it is built; what does not end is ended by the watchdog, which says the
// seed. ECHELON_INTERLEAVING_SEED=N replays one, ECHELON_INTERLEAVINGS=N runs so many.
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/shared/array.hpp>
#include <echelon/shared/lock.hpp>
#include <echelon/shared/pipe.hpp>
#include <echelon/shared/queue.hpp>
#include <echelon/shared/value.hpp>

#include "shared/ranks.hpp"

namespace echelon::shared {
namespace {

using namespace test;

/// The same numbers on all ranks, for what they decide together.
class Plan {
 public:
  explicit Plan(std::uint64_t seed) : random_{seed} {}
  int any(int below) { return std::uniform_int_distribution<>{0, below - 1}(random_); }
  std::uint64_t capacity() { return static_cast<std::uint64_t>(1 + any(4)); }

 private:
  std::mt19937_64 random_;
};

/// This rank's own: how long it dawdles between two steps.
class Dawdler {
 public:
  explicit Dawdler(std::uint64_t seed) : random_{seed * 64 + static_cast<std::uint64_t>(self())} {}
  void operator()() {
    switch (random_() % 6) {
      case 0: std::this_thread::yield(); break;
      case 1:
        for (auto i = random_() % 2000; i > 0; --i) {
          asm volatile("");
        }
        break;
      case 2: session().progress(); break;
      default: break;
    }
  }
  bool flips() { return random_() % 2 == 0; }
  /// Of items: with and without room inside of a small queue.
  std::string item(const std::string& begin) {
    return begin + std::string(random_() % 8 == 0 ? random_() % 9000 : random_() % 40, 'x');
  }

 private:
  std::mt19937_64 random_;
};

std::uint64_t hash_of(const std::string& text) { return std::hash<std::string>{}(text) >> 8; }

/// Items go through any ranks from the first stage to the last: a rank of one stage gets from the queue before it and
/// puts into the one behind it, so that there is no circle.
void run_stages(Plan& plan, Dawdler& dawdle) {
  const int stages = 1 + plan.any(std::min(3, ranks()));
  std::vector<int> stage_of;
  for (int rank = 0; rank < ranks(); ++rank) stage_of.push_back(rank < stages ? rank : plan.any(stages));
  // The ranks' numbers say nothing about their stages.
  const int shift = plan.any(ranks());
  const int stage = stage_of[static_cast<std::size_t>((self() + shift) % ranks())];
  std::vector<std::unique_ptr<Queue<std::string>>> queues;
  for (int i = 0; i + 1 < stages; ++i) {
    queues.push_back(std::make_unique<Queue<std::string>>(session(),
                                                          stage == i       ? Role::producer
                                                          : stage == i + 1 ? Role::consumer
                                                                           : Role::none,
                                                          QueueOptions{.capacity = plan.capacity()}));
  }
  const int items = 1 + plan.any(12);
  std::uint64_t in = 0;
  std::uint64_t out = 0;
  const auto put = [&](const std::string& item) {
    dawdle();
    auto& queue = *queues[static_cast<std::size_t>(stage)];
    if (dawdle.flips()) return queue.put(item);
    while (!(dawdle.flips() ? queue.try_put(item) : queue.put_for(item, std::chrono::microseconds{100}))) dawdle();
  };
  const auto get = [&]() -> std::optional<std::string> {
    auto& queue = *queues[static_cast<std::size_t>(stage - 1)];
    for (;;) {
      dawdle();
      if (dawdle.flips()) return queue.get();
      auto item = dawdle.flips() ? queue.try_get() : queue.get_for(std::chrono::microseconds{100});
      if (item || queue.has_ended()) return item;
    }
  };
  const bool is_last = stage == stages - 1;
  if (stage == 0 && !is_last) {
    for (int i = 0; i < items; ++i) {
      const std::string item = dawdle.item(std::to_string(self()) + " " + std::to_string(i) + " ");
      in += hash_of(item);
      put(item);
    }
  } else if (stage > 0) {
    while (const auto item = get()) {
      if (is_last) {
        out += hash_of(*item);
      } else {
        put(*item);
      }
    }
  }
  if (!is_last && dawdle.flips()) queues[static_cast<std::size_t>(stage)]->close();
  // Those in front close at the latest now, and those behind them get the end.
  while (!queues.empty()) queues.erase(queues.begin());
  EXPECT_EQ(sum_of(in), sum_of(out));
}

/// Ranks ask and answer by pipes along a random tree: each answers its children before its parent answers it.
void run_tree(Plan& plan, Dawdler& dawdle) {
  struct Edge {
    int parent;
    int child;
    std::unique_ptr<Pipe<std::uint64_t>> pipe;
  };
  const int shift = plan.any(ranks());
  const auto name = [&](int node) { return (node + shift) % ranks(); };
  std::vector<Edge> edges;
  for (int node = 1; node < ranks(); ++node) {
    const int parent = name(plan.any(node));
    const bool turned = plan.any(2) == 0;
    const std::uint64_t capacity = plan.capacity();
    edges.push_back(
        {parent, name(node),
         std::make_unique<Pipe<std::uint64_t>>(session(), turned ? parent : name(node), turned ? name(node) : parent,
                                               PipeOptions{.capacity = capacity})});
  }
  Pipe<std::uint64_t>* up = nullptr;
  for (const Edge& edge : edges) {
    if (edge.child == self()) up = edge.pipe.get();
  }
  // Number by number up the tree, and the sum down again.
  const int times = 1 + plan.any(5);
  for (int i = 0; i < times; ++i) {
    std::uint64_t sum = static_cast<std::uint64_t>(self()) + 1;
    for (const Edge& edge : edges) {
      if (edge.parent != self()) continue;
      dawdle();
      sum += edge.pipe->receive().value_or(1'000'000);
    }
    if (up != nullptr) {
      up->send(sum);
      dawdle();
      sum = up->receive().value_or(2'000'000);
    }
    for (const Edge& edge : edges) {
      if (edge.parent != self()) continue;
      dawdle();
      edge.pipe->send(sum);
    }
    EXPECT_EQ(sum, static_cast<std::uint64_t>(ranks() * (ranks() + 1) / 2));
  }
  // The children end, and so do their parents.
  if (up != nullptr) up->close();
  for (const Edge& edge : edges) {
    if (edge.parent != self()) continue;
    EXPECT_FALSE(edge.pipe->receive());
    EXPECT_TRUE(edge.pipe->has_ended());
    edge.pipe->close();
  }
}

/// Locks that are taken in one order only, and counters that they guard.
void run_locks(Plan& plan, Dawdler& dawdle) {
  const int count = 1 + plan.any(3);
  const int times = 1 + plan.any(15);
  std::vector<std::unique_ptr<Lock>> locks;
  Array<std::uint64_t> counters{session(), static_cast<std::uint64_t>(count)};
  for (int i = 0; i < count; ++i) locks.push_back(std::make_unique<Lock>(session()));
  Value<std::uint64_t> all{session(), 0};
  for (int i = 0; i < times; ++i) {
    std::vector<int> held;
    for (int which = 0; which < count; ++which) {
      dawdle();
      Lock& lock = *locks[static_cast<std::size_t>(which)];
      bool has_it = false;
      if (dawdle.flips()) {
        lock.lock();
        has_it = true;
      } else if (dawdle.flips()) {
        has_it = lock.try_lock_for(std::chrono::microseconds{50});
      } else {
        has_it = lock.try_lock();
      }
      if (!has_it) continue;
      held.push_back(which);
      const auto counter = static_cast<std::uint64_t>(which);
      const std::uint64_t before = counters.get(counter);
      dawdle();
      counters.put(counter, before + 1);
    }
    for (const int which : held) {
      dawdle();
      locks[static_cast<std::size_t>(which)]->unlock();
    }
    all.fetch_add(held.size());
  }
  session().barrier();
  std::uint64_t sum = 0;
  for (const std::uint64_t one : counters.get(0, counters.size())) sum += one;
  EXPECT_EQ(sum, all.load());
  session().barrier();
}

/// Work that is shared out by a queue, counted by a value, written down under a lock, with replies by another queue.
void run_workers(Plan& plan, Dawdler& dawdle) {
  const int master = plan.any(ranks());
  const bool works_itself = ranks() == 1 || plan.any(2) == 0;
  const bool is_master = self() == master;
  const int tasks = plan.any(20);
  // The master puts no more tasks than it can while nobody takes them: it has the replies to read.
  const std::uint64_t capacity = plan.capacity();
  Queue<int> todo{
      session(), is_master ? works_itself ? Role::both : Role::producer : Role::consumer, {.capacity = capacity}};
  Queue<std::string> replies{session(), is_master ? Role::both : Role::producer, {.capacity = plan.capacity()}};
  Value<int> done{session(), 0};
  Lock lock{session()};
  std::uint64_t sum = 0;
  int came = 0;
  const auto read = [&] {
    if (const auto reply = replies.try_get()) {
      sum += std::stoull(*reply);
      ++came;
    }
  };
  const auto work_on = [&](int task) {
    dawdle();
    const std::lock_guard guard{lock};
    done.fetch_add(1);
    return std::to_string(task) + dawdle.item(" ");
  };
  if (is_master) {
    for (int task = 0; task < tasks; ++task) {
      while (!todo.try_put(task)) {
        dawdle();
        read();
        if (!works_itself || !dawdle.flips()) continue;
        if (const auto mine = todo.try_get()) {
          sum += std::stoull(work_on(*mine));
          ++came;
        }
      }
    }
    todo.close();
    replies.close();
    if (ranks() == 1) {
      while (const auto mine = todo.get()) {
        sum += std::stoull(work_on(*mine));
        ++came;
      }
    }
    while (!replies.has_ended()) {
      dawdle();
      read();
    }
    // Its own share of the queue at last; there may be some left that it alone has fetched.
    while (const auto mine = works_itself ? todo.get() : std::optional<int>{}) {
      sum += std::stoull(work_on(*mine));
      ++came;
    }
    EXPECT_EQ(came, tasks);
    EXPECT_EQ(sum, static_cast<std::uint64_t>(tasks * (tasks - 1) / 2));
  } else {
    while (const auto task = todo.get()) replies.put(work_on(*task));
    replies.close();
  }
  session().barrier();
  EXPECT_EQ(done.load(), tasks);
  session().barrier();
}

std::optional<std::uint64_t> number_from_environment(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

TEST(interleavings, of_short_programs_end_and_lose_nothing) {
  const auto seed = number_from_environment("ECHELON_INTERLEAVING_SEED");
  const std::uint64_t first = seed.value_or(1);
  // A thousand over the numbers of ranks.
  const std::map<int, int> on_one_node{{1, 150}, {2, 350}, {3, 250}, {4, 150}};
  const auto found = on_one_node.find(ranks());
  const auto usual = static_cast<std::uint64_t>(rounds(found == on_one_node.end() ? 100 : found->second, 30));
  const std::uint64_t count = number_from_environment("ECHELON_INTERLEAVINGS").value_or(seed ? 1 : usual);
  Watchdog watchdog{"before the first"};
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string replay =
        "replay it on " + std::to_string(ranks()) + " ranks: ECHELON_INTERLEAVING_SEED=" + std::to_string(first + i);
    watchdog.now(replay);
    SCOPED_TRACE(replay);
    Plan plan{first + i};
    Dawdler dawdle{first + i};
    const int parts = 1 + plan.any(2);
    for (int part = 0; part < parts; ++part) {
      switch (plan.any(4)) {
        case 0: run_stages(plan, dawdle); break;
        case 1: run_tree(plan, dawdle); break;
        case 2: run_locks(plan, dawdle); break;
        default: run_workers(plan, dawdle);
      }
    }
    // All stop where one has failed.
    if (sum_of(testing::Test::HasFailure() ? 1 : 0) > 0) return;
  }
}

}  // namespace
}  // namespace echelon::shared
