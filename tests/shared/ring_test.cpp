#include "shared/ring.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "shared/memory.hpp"

namespace echelon::shared {
namespace {

using comm::Bytes;
using test::PlainMemory;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// Longer than any machine needs for what is waited for here, some milliseconds of work, even where it is loaded.
constexpr auto limit = 60s;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool is_sanitized = true;  // and slow
#else
constexpr bool is_sanitized = false;
#endif

/// What threads as ranks keep for items that do not fit.
class Elsewhere {
 public:
  std::uint64_t store(std::span<const std::byte> bytes) {
    const std::scoped_lock lock{mutex_};
    items_[++last_].assign(bytes.begin(), bytes.end());
    return last_;
  }
  void take(std::uint64_t where, std::span<std::byte> bytes) {
    const std::scoped_lock lock{mutex_};
    const auto item = items_.find(where);
    if (item == items_.end() || item->second.size() != bytes.size()) throw std::logic_error("no such item elsewhere");
    std::ranges::copy(item->second, bytes.begin());
    items_.erase(item);
  }
  [[nodiscard]] std::size_t count() {
    const std::scoped_lock lock{mutex_};
    return items_.size();
  }

 private:
  std::mutex mutex_;
  std::map<std::uint64_t, std::vector<std::byte>> items_;
  std::uint64_t last_ = 0;
};

/// The memory of a ring, and each rank's view of it.
class Shared {
 public:
  explicit Shared(Ring::Options options) : options_{options}, memory_{Ring::bytes(options)} {}

  [[nodiscard]] Ring ring(int self = 0) {
    return {memory_.data(),
            options_,
            {.self = self,
             .yields_at_once = true,
             .store = [this](std::span<const std::byte> bytes) { return elsewhere.store(bytes); },
             .take = [this](int, std::uint64_t where, std::span<std::byte> bytes) { elsewhere.take(where, bytes); },
             .check = {}}};
  }

  Elsewhere elsewhere;

 private:
  Ring::Options options_;
  PlainMemory memory_;
};

/// Bytes that no other item has.
Bytes content(std::uint64_t number, std::size_t size) {
  Bytes bytes((size + 7) / 8 * 8);
  std::uint64_t word = number;
  for (std::size_t at = 0; at < bytes.size(); at += 8) {
    word = word * 6364136223846793005U + 1442695040888963407U;
    std::memcpy(bytes.data() + at, &word, 8);
  }
  bytes.resize(size);
  return bytes;
}

TEST(ring, gives_items_back_in_order_wherever_they_begin_and_wrap) {
  for (std::size_t size = 0; size <= 96; ++size) {
    Shared shared{{.capacity = 3, .typical_bytes = 8}};
    Ring ring = shared.ring();
    Bytes got;
    // 4096 bytes and more, so that the ring's end comes at every place of an item.
    for (std::uint64_t i = 0; i < 700; ++i) {
      ASSERT_TRUE(ring.try_put(content(i, size)));
      if (i < 2) continue;
      ASSERT_TRUE(ring.try_get(got));
      ASSERT_EQ(got, content(i - 2, size)) << "item " << i - 2 << " of " << size << " bytes";
    }
    EXPECT_EQ(shared.elsewhere.count(), 0U);
  }
}

TEST(ring, holds_as_many_items_as_it_says_of_any_size) {
  for (const std::uint64_t capacity : {1U, 2U, 3U, 100U, 1024U}) {
    for (const std::size_t size : {0U, 1U, 8U, 16U, 17U, 4072U, 4088U, 4089U, 9000U}) {
      Shared shared{{.capacity = capacity, .typical_bytes = 8}};
      Ring ring = shared.ring();
      Bytes got;
      for (int round = 0; round < 3; ++round) {
        for (std::uint64_t i = 0; i < capacity; ++i) {
          ASSERT_FALSE(ring.looks_full());
          ASSERT_TRUE(ring.try_put(content(i, size))) << i << " of " << capacity << " items of " << size << " bytes";
          ASSERT_EQ(ring.items(), i + 1);
        }
        ASSERT_TRUE(ring.looks_full());
        ASSERT_FALSE(ring.try_put(content(0, size)));
        ASSERT_FALSE(ring.try_put({}));
        for (std::uint64_t i = 0; i < capacity; ++i) {
          ASSERT_TRUE(ring.try_get(got));
          ASSERT_EQ(got, content(i, size)) << i << " of " << capacity << " items of " << size << " bytes";
        }
        ASSERT_TRUE(ring.looks_empty());
        ASSERT_FALSE(ring.try_get(got));
      }
      EXPECT_EQ(shared.elsewhere.count(), 0U);
    }
  }
}

TEST(ring, keeps_elsewhere_only_what_does_not_fit) {
  Shared shared{{.capacity = 4, .typical_bytes = 1000}};
  Ring ring = shared.ring();
  for (std::uint64_t i = 0; i < 4; ++i) ASSERT_TRUE(ring.try_put(content(i, 1000)));
  EXPECT_EQ(shared.elsewhere.count(), 0U) << "items of the typical size have room";
  Bytes got;
  ASSERT_TRUE(ring.try_get(got));
  ASSERT_TRUE(ring.try_put(content(4, 100'000)));
  EXPECT_EQ(shared.elsewhere.count(), 1U);
  for (std::uint64_t i = 1; i < 4; ++i) ASSERT_TRUE(ring.try_get(got));
  ASSERT_TRUE(ring.try_get(got));
  EXPECT_EQ(got, content(4, 100'000));
  EXPECT_EQ(shared.elsewhere.count(), 0U);
}

/// Long items among short ones are what the room inside has to be shared out for.
std::size_t random_size(std::mt19937_64& random) {
  const auto up_to = [&](std::size_t most) { return std::uniform_int_distribution<std::size_t>{0, most}(random); };
  switch (up_to(5)) {
    case 0: return 0;
    case 1:
    case 2: return up_to(16);
    case 3: return up_to(200);
    case 4: return up_to(5000);
    default: return 3000 + up_to(1100);
  }
}

TEST(ring, does_what_a_plain_queue_does_in_random_histories) {
  for (std::uint64_t seed = 1; seed <= (is_sanitized ? 500 : 3000); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    const auto any = [&](std::uint64_t from, std::uint64_t to) {
      return std::uniform_int_distribution<std::uint64_t>{from, to}(random);
    };
    const std::uint64_t capacity = any(0, 1) == 0 ? any(1, 5) : any(1, 170);
    Shared shared{{.capacity = capacity, .typical_bytes = any(0, 40)}};
    std::vector<Ring> ranks;
    for (int self = 0; self < 3; ++self) ranks.push_back(shared.ring(self));
    std::deque<Bytes> model;
    Bytes got;
    std::uint64_t number = seed << 32;
    // Phases of more puts than gets and the other way round reach both ends.
    for (int phase = 0; phase < 6; ++phase) {
      const std::uint64_t puts_of_ten = any(1, 9);
      const bool only_short = any(0, 2) == 0;
      for (std::uint64_t step = 0; step < 2 * capacity; ++step) {
        Ring& ring = ranks[any(0, 2)];
        if (any(0, 9) < puts_of_ten) {
          const Bytes item = content(++number, only_short ? any(0, 16) : random_size(random));
          ASSERT_EQ(ring.try_put(item), model.size() < capacity);
          if (model.size() < capacity) model.push_back(item);
        } else {
          ASSERT_EQ(ring.try_get(got), !model.empty());
          if (model.empty()) continue;
          ASSERT_EQ(got, model.front());
          model.pop_front();
        }
        ASSERT_EQ(ring.items(), model.size());
        ASSERT_EQ(ring.looks_full(), model.size() == capacity);
        ASSERT_EQ(ring.looks_empty(), model.empty());
      }
    }
    for (; !model.empty(); model.pop_front()) {
      ASSERT_TRUE(ranks[0].try_get(got));
      ASSERT_EQ(got, model.front());
    }
    ASSERT_EQ(shared.elsewhere.count(), 0U);
  }
}

// ---- threads as ranks ----

struct Traffic {
  int producers;
  int consumers;
  std::uint64_t capacity;
  std::size_t longest;  // item
  std::uint64_t items;  // of each producer
};

/// Who put it and its number there, and then as many bytes as that decides.
Bytes item_of(int producer, std::uint64_t number, std::size_t longest) {
  const std::uint64_t id = static_cast<std::uint64_t>(producer) << 32 | number;
  const std::size_t size = number % 7 == 0 ? longest : id * 2654435761U % (longest / 8 + 1);
  Bytes item = content(id, 8 + size);
  std::memcpy(item.data(), &id, 8);
  return item;
}

void exchange(const Traffic& traffic) {
  Shared shared{{.capacity = traffic.capacity, .typical_bytes = 16}};
  const std::uint64_t all = static_cast<std::uint64_t>(traffic.producers) * traffic.items;
  std::atomic<std::uint64_t> received = 0;
  std::vector<std::atomic<std::uint64_t>> put(static_cast<std::size_t>(traffic.producers));
  std::vector<std::vector<std::uint64_t>> got(static_cast<std::size_t>(traffic.consumers));
  std::atomic<bool> failed = false;
  const auto end = Clock::now() + limit;
  const auto goes_on = [&] {
    if (Clock::now() > end) failed = true;
    std::this_thread::yield();
    return !failed;
  };
  std::vector<std::thread> threads;
  for (int self = 0; self < traffic.producers; ++self) {
    threads.emplace_back([&, self] {
      Ring ring = shared.ring(self);
      for (std::uint64_t i = 0; i < traffic.items; ++i) {
        const Bytes item = item_of(self, i, traffic.longest);
        while (!ring.try_put(item)) {
          if (!goes_on()) return;
        }
        put[static_cast<std::size_t>(self)].store(i + 1);
        std::uint64_t in = 0;
        for (const auto& one : put) in += one;
        // Each consumer may have taken one out and not said so.
        if (in > received + traffic.capacity + static_cast<std::uint64_t>(traffic.consumers)) {
          ADD_FAILURE() << in << " were put in, " << received << " are out";
          failed = true;
        }
      }
    });
  }
  for (int self = 0; self < traffic.consumers; ++self) {
    threads.emplace_back([&, self] {
      Ring ring = shared.ring(traffic.producers + self);
      std::vector<std::uint64_t> next(static_cast<std::size_t>(traffic.producers));
      Bytes item;
      while (received < all) {
        if (!ring.try_get(item)) {
          if (!goes_on()) return;
          continue;
        }
        ++received;
        std::uint64_t id = 0;
        ASSERT_GE(item.size(), sizeof id);
        std::memcpy(&id, item.data(), sizeof id);
        const std::uint64_t from = id >> 32;
        const std::uint64_t number = id & 0xffffffffU;
        const bool is_whole = from < next.size() && number < traffic.items &&
                              item == item_of(static_cast<int>(from), number, traffic.longest);
        if (!is_whole || number < next[from]) {
          ADD_FAILURE() << (is_whole ? "too late: item " : "broken: item ") << number << " of " << from;
          failed = true;
          return;
        }
        next[from] = number + 1;
        got[static_cast<std::size_t>(self)].push_back(id);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_FALSE(failed) << "or it took longer than " << limit.count() << " s";
  std::vector<std::uint64_t> ids;
  for (const auto& some : got) ids.insert(ids.end(), some.begin(), some.end());
  std::ranges::sort(ids);
  ASSERT_EQ(ids.size(), all);
  EXPECT_EQ(std::ranges::adjacent_find(ids), ids.end()) << "an item came twice";
  EXPECT_EQ(shared.elsewhere.count(), 0U);
}

constexpr std::uint64_t items = is_sanitized ? 3'000 : 20'000;

TEST(ring, gives_each_item_once_and_each_producers_in_their_order) {
  for (const auto& [producers, consumers] : std::vector<std::pair<int, int>>{{1, 1}, {3, 1}, {1, 3}, {2, 2}, {3, 3}}) {
    for (const std::uint64_t capacity : {1U, 2U, 7U, 1024U}) {
      for (const std::size_t longest : {8U, 300U, 4072U, 6000U}) {
        SCOPED_TRACE(std::to_string(producers) + " producers, " + std::to_string(consumers) + " consumers, capacity " +
                     std::to_string(capacity) + ", items of up to " + std::to_string(longest) + " bytes");
        exchange({producers, consumers, capacity, longest, items / (longest > 1000 ? 10 : 1)});
        if (testing::Test::HasFailure()) return;
      }
    }
  }
}

TEST(ring, is_full_by_as_many_as_it_holds_whoever_puts) {
  constexpr std::uint64_t capacity = 100;
  Shared shared{{.capacity = capacity, .typical_bytes = 8}};
  for (int round = 0; round < 200; ++round) {
    // All try at once until it is full, then all until it is empty.
    for (const bool puts : {true, false}) {
      std::atomic<std::uint64_t> count = 0;
      std::vector<std::thread> threads;
      for (int self = 0; self < 3; ++self) {
        threads.emplace_back([&, self] {
          Ring ring = shared.ring(self);
          Bytes item = content(static_cast<std::uint64_t>(self), 60);
          while (puts ? ring.try_put(item) : ring.try_get(item)) ++count;
        });
      }
      for (std::thread& thread : threads) thread.join();
      ASSERT_EQ(count, capacity) << (puts ? "put in" : "taken out") << " in round " << round;
    }
  }
}

// A rank that looks while others are busy must not be told of a full or an empty ring that never was.
TEST(ring, looks_as_it_was) {
  constexpr std::uint64_t capacity = 4;
  Shared shared{{.capacity = capacity, .typical_bytes = 8}};
  Ring first = shared.ring(0);
  ASSERT_TRUE(first.try_put(content(0, 8)));
  std::atomic<std::uint64_t> steps = 0;
  // One or two items at any time.
  std::thread busy{[&] {
    Ring ring = shared.ring(1);
    Bytes item;
    for (; steps < 50 * items; ++steps) {
      if (ring.try_put(content(1, 8)) && ring.try_get(item)) continue;
      ADD_FAILURE() << "it was neither full nor empty";
      steps = 50 * items;
    }
  }};
  while (steps < 50 * items) {
    EXPECT_FALSE(first.looks_full());
    EXPECT_FALSE(first.looks_empty());
    EXPECT_LE(first.items(), 2U);
    if (testing::Test::HasFailure()) steps = 50 * items;
  }
  busy.join();
}

// ---- ranks that die inside ----

struct Dead : std::runtime_error {
  explicit Dead(int lost) : std::runtime_error{"rank " + std::to_string(lost)}, rank{lost} {}
  int rank;
};

TEST(ring, asks_whether_who_keeps_others_out_is_alive) {
  const Ring::Options options{.capacity = 2, .typical_bytes = 8};
  PlainMemory memory{Ring::bytes(options)};
  std::atomic<bool> is_inside = false;
  std::atomic<bool> may_leave = false;
  std::thread inside{[&] {
    Ring ring{memory.data(), options, {.self = 5, .store = [&](std::span<const std::byte>) {
                                         is_inside = true;
                                         while (!may_leave) std::this_thread::yield();
                                         return std::uint64_t{0};
                                       }}};
    EXPECT_TRUE(ring.try_put(content(1, 10'000)));
  }};
  while (!is_inside) std::this_thread::yield();
  Ring ring{memory.data(), options, {.self = 6, .check = [](int holder) { throw Dead{holder}; }}};
  try {
    (void)ring.try_put({});
    ADD_FAILURE() << "two were inside at once";
  } catch (const Dead& dead) {
    EXPECT_EQ(dead.rank, 5);
  }
  Bytes none;
  EXPECT_FALSE(ring.try_get(none)) << "who takes out is not kept out";
  may_leave = true;
  inside.join();
  EXPECT_TRUE(ring.try_put({})) << "check() has thrown, and nothing was changed";
  EXPECT_EQ(ring.items(), 2U);
}

TEST(ring, leaves_nothing_behind_where_an_item_cannot_be_kept) {
  const Ring::Options options{.capacity = 2, .typical_bytes = 8};
  PlainMemory memory{Ring::bytes(options)};
  Ring ring{memory.data(), options, {.store = [](std::span<const std::byte>) -> std::uint64_t { throw Dead{0}; }}};
  EXPECT_THROW((void)ring.try_put(content(1, 10'000)), Dead);
  EXPECT_EQ(ring.items(), 0U);
  ASSERT_TRUE(ring.try_put(content(2, 100)));
  Bytes got;
  ASSERT_TRUE(ring.try_get(got));
  EXPECT_EQ(got, content(2, 100));
}

/// Processes put and take; one is killed at a random moment. The others must go on, or be told of that one; whatever
/// comes out is whole and in order.
TEST(ring, survives_ranks_that_are_killed_or_tells_of_them) {
  constexpr int rounds = is_sanitized ? 12 : 40;
  constexpr int ranks = 4;  // two put, two take
  struct Life {
    std::atomic<std::uint64_t> steps;
    std::atomic<bool> is_lost;
  };
  enum Status { fine, was_told, was_told_wrongly, broken, hung };
  const Ring::Options options{.capacity = 5, .typical_bytes = 8};
  std::mt19937 random{20261121};
  for (int round = 0; round < rounds; ++round) {
    PlainMemory memory{Ring::bytes(options)};
    PlainMemory lives_memory{ranks * sizeof(Life) + sizeof(std::atomic<bool>)};
    auto* lives = reinterpret_cast<Life*>(lives_memory.data());
    auto& stop = *reinterpret_cast<std::atomic<bool>*>(lives_memory.data() + ranks * sizeof(Life));
    const auto body = [&](int self) -> int {
      Ring ring{memory.data(), options, {.self = self, .yields_at_once = true, .check = [&](int holder) {
                                           if (lives[holder].is_lost) throw Dead{holder};
                                         }}};
      const auto end = Clock::now() + limit;
      std::uint64_t number = 0;
      std::uint64_t next[2] = {};
      Bytes item;
      try {
        while (!stop) {
          if (Clock::now() > end) return hung;
          ++lives[self].steps;
          if (self < 2) {
            if (ring.try_put(item_of(self, number, 200))) ++number;
          } else if (ring.try_get(item)) {
            std::uint64_t id = 0;
            if (item.size() < 8) return broken;
            std::memcpy(&id, item.data(), 8);
            const std::uint64_t from = id >> 32;
            if (from > 1 || (id & 0xffffffffU) < next[from]) return broken;
            next[from] = (id & 0xffffffffU) + 1;
            if (item != item_of(static_cast<int>(from), id & 0xffffffffU, 200)) return broken;
          }
        }
      } catch (const Dead& dead) {
        return lives[dead.rank].is_lost ? was_told : was_told_wrongly;
      }
      return fine;
    };
    std::vector<pid_t> pids;
    for (int self = 0; self < ranks; ++self) pids.push_back(test::start_process([&] { return body(self); }));
    const auto has_moved = [&](int self, std::uint64_t since) {
      const auto end = Clock::now() + limit;
      while (lives[self].steps <= since && Clock::now() < end) std::this_thread::yield();
      return lives[self].steps > since;
    };
    const int victim = round % ranks;
    EXPECT_TRUE(has_moved(victim, std::uniform_int_distribution<std::uint64_t>{1, 2000}(random)));
    EXPECT_EQ(kill(pids[static_cast<std::size_t>(victim)], SIGKILL), 0);
    EXPECT_EQ(test::wait_for_process(pids[static_cast<std::size_t>(victim)]), -SIGKILL);
    lives[victim].is_lost = true;
    // The others have seen the loss, or have gone on.
    for (int self = 0; self < ranks; ++self) {
      const pid_t pid = pids[static_cast<std::size_t>(self)];
      if (self == victim) continue;
      const std::uint64_t now = lives[self].steps;
      const auto end = Clock::now() + limit;
      siginfo_t ended{};
      while (lives[self].steps < now + 100 && ended.si_pid == 0 && Clock::now() < end) {
        std::this_thread::yield();
        waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOHANG | WNOWAIT);
      }
      EXPECT_TRUE(lives[self].steps >= now + 100 || ended.si_pid != 0)
          << "round " << round << ": rank " << self << " hangs, as " << victim << " was killed";
    }
    stop = true;
    for (int self = 0; self < ranks; ++self) {
      if (self == victim) continue;
      const pid_t pid = pids[static_cast<std::size_t>(self)];
      if (testing::Test::HasFailure()) kill(pid, SIGKILL);
      EXPECT_LE(test::wait_for_process(pid), static_cast<int>(was_told)) << "round " << round << ", rank " << self;
    }
    ASSERT_FALSE(testing::Test::HasFailure());
  }
}

}  // namespace
}  // namespace echelon::shared
