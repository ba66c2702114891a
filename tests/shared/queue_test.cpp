#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/base/error.hpp>
#include <echelon/comm/roster.hpp>
#include <echelon/shared/queue.hpp>
#include <echelon/shared/value.hpp>

#include "shared/ranks.hpp"

namespace echelon::shared {
namespace {

using namespace test;
using namespace std::chrono_literals;

class queues : public Watched {};

struct Item {
  int from;
  std::uint32_t number;
};

bool puts(Role role) { return role == Role::producer || role == Role::both; }
bool gets(Role role) { return role == Role::consumer || role == Role::both; }

/// Ways to share out the work.
std::vector<std::vector<Role>> all_casts() {
  const auto count = static_cast<std::size_t>(ranks());
  std::vector<std::vector<Role>> casts{std::vector<Role>(count, Role::both)};
  if (count == 1) return casts;
  casts.emplace_back(count, Role::consumer).front() = Role::producer;
  casts.emplace_back(count, Role::producer).front() = Role::consumer;
  casts.emplace_back(count, Role::producer).back() = Role::consumer;
  auto& half = casts.emplace_back(count, Role::producer);
  for (std::size_t rank = 0; rank < count; rank += 2) half[rank] = Role::consumer;
  if (count > 2) casts.emplace_back(half).back() = Role::none;
  return casts;
}

/// The first to the last rank; on one alone to itself.
Role first_to_last() {
  if (ranks() == 1) return Role::both;
  return self() == 0 ? Role::producer : self() == ranks() - 1 ? Role::consumer : Role::none;
}

void exchange(const std::vector<Role>& cast, std::uint64_t capacity, std::uint32_t items) {
  const Role role = cast[static_cast<std::size_t>(self())];
  Queue<Item> queue{session(), role, {.capacity = capacity}};
  std::vector<std::uint32_t> next(cast.size());
  std::uint64_t count = 0;
  std::uint64_t sum = 0;
  const auto take = [&](const std::optional<Item>& item) {
    if (!item) return false;
    std::uint32_t& expected = next[static_cast<std::size_t>(item->from)];
    EXPECT_GE(item->number, expected) << "from rank " << item->from;
    expected = item->number + 1;
    ++count;
    sum += static_cast<std::uint64_t>(item->from + 1) * (item->number + 1);
    return true;
  };
  if (puts(role)) {
    for (std::uint32_t i = 0; i < items; ++i) {
      if (!gets(role)) {
        queue.put({self(), i});
      } else {
        while (!queue.try_put({self(), i})) take(queue.try_get());  // what this rank waits for may be up to itself
      }
    }
    queue.close();
  }
  if (gets(role)) {
    while (take(queue.get())) {
    }
    EXPECT_TRUE(queue.has_ended());
  }
  std::uint64_t expected = 0;
  for (std::size_t rank = 0; rank < cast.size(); ++rank) {
    if (puts(cast[rank])) expected += (rank + 1) * (std::uint64_t{items} * (items + 1) / 2);
  }
  EXPECT_EQ(sum_of(count), static_cast<std::uint64_t>(std::ranges::count_if(cast, puts)) * items);
  EXPECT_EQ(sum_of(sum), expected);
}

TEST_F(queues, give_each_item_once_and_each_producers_in_their_order) {
  for (const auto& cast : all_casts()) {
    for (const std::uint64_t capacity : {1, 3, 1024}) {
      const int items = rounds(2000, 300);
      // Where each item is waited for, that takes a sleep or two on a machine with fewer processors than ranks.
      exchange(cast, capacity, static_cast<std::uint32_t>(capacity < 1000 ? items / 6 : items));
    }
  }
}

TEST_F(queues, give_nobody_more_than_was_asked_for) {
  if (ranks() == 1) return;
  constexpr int share = 20;
  Queue<int> queue{session(), self() == 0 ? Role::producer : Role::consumer};
  if (self() == 0) {
    for (int i = 0; i < share * (ranks() - 1); ++i) queue.put(i);
  } else {
    for (int i = 0; i < share; ++i) EXPECT_TRUE(queue.get_for(20s)) << "another rank has taken it and keeps it";
  }
  session().barrier();
}

// ---- what it carries ----

/// What rank 0 puts, the last rank gets.
template <typename T>
void send(const std::vector<T>& items, std::uint64_t capacity = 1024) {
  Queue<T> queue{session(), first_to_last(), {.capacity = capacity}};
  if (self() == 0) {
    for (const T& item : items) queue.put(item);
    queue.close();
  }
  if (self() != ranks() - 1) return;
  for (const T& item : items) {
    const auto got = queue.get();
    if (!got) {
      ADD_FAILURE() << "it has ended too early";
      return;
    }
    EXPECT_TRUE(*got == item);
  }
  EXPECT_FALSE(queue.get());
  EXPECT_TRUE(queue.has_ended());
}

struct Empty {
  bool operator==(const Empty&) const = default;
};

struct Body {
  std::string name;
  std::vector<double> masses;
  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& name& masses;
  }
  bool operator==(const Body&) const = default;
};

enum class Colour : char { red = 'r', blue = 'b' };

TEST_F(queues, carry_values_of_any_type) {
  send<char>({'a', 'b'});
  send<std::uint64_t>({0, ~std::uint64_t{0}, 1});
  send<double>({0.1, -0.0, 1e300});
  send<Colour>({Colour::red, Colour::blue});
  send<Empty>({{}, {}, {}});
  send<std::string>({"", "one", std::string(100'000, 'x'), ""});
  send<std::vector<int>>({{}, {1, 2, 3}, std::vector<int>(50'000, 7)});
  send<std::map<std::string, std::vector<int>>>({{}, {{"a", {1}}, {"b", {}}}});
  send<std::tuple<int, std::string, std::optional<double>>>({{1, "x", 0.5}, {2, "", std::nullopt}});
  send<Body>({{"sun", {1, 2, 3}}, {"", {}}});
}

TEST_F(queues, carry_short_and_long_items_one_after_another) {
  std::vector<std::string> items;
  for (std::size_t i = 0; i < 600; ++i) items.emplace_back(i % 50 == 0 ? 90'000 + i : i % 13, static_cast<char>(i));
  send(items, 600);
  if (ranks() > 1) send(items, 7);
}

TEST_F(queues, carry_items_of_100_megabytes) {
  std::vector<std::uint64_t> large(12'500'000);
  std::iota(large.begin(), large.end(), 0U);
  send<std::vector<std::uint64_t>>({large, {}}, 3);
}

// ---- the end, and waits with limits ----

TEST_F(queues, have_nothing_now_or_for_so_long_or_never_again) {
  Queue<int> queue{session(), first_to_last()};
  if (gets(first_to_last())) {
    EXPECT_FALSE(queue.try_get());
    EXPECT_FALSE(queue.has_ended());
    EXPECT_GE(time_of([&] { EXPECT_FALSE(queue.get_for(20ms)); }), 20ms);
    EXPECT_FALSE(queue.has_ended());
  }
  session().barrier();
  if (puts(first_to_last())) {
    queue.put(7);
    queue.put(8);
    queue.put(9);
    queue.close();
  }
  if (gets(first_to_last())) {
    EXPECT_EQ(queue.get_for(1h), 7);
    std::optional<int> tried;
    EXPECT_TRUE(comes_true([&] { return (tried = queue.try_get()).has_value(); }));
    EXPECT_EQ(tried, 8);
    EXPECT_EQ(queue.get(), 9);
    EXPECT_FALSE(queue.has_ended());
    EXPECT_FALSE(queue.get());
    for (int i = 0; i < 2; ++i) {
      EXPECT_TRUE(queue.has_ended());
      EXPECT_FALSE(queue.get_for(1h));
      EXPECT_TRUE(queue.has_ended());
      EXPECT_FALSE(queue.try_get());
      EXPECT_TRUE(queue.has_ended());
      EXPECT_FALSE(queue.get());
    }
  }
}

TEST_F(queues, end_for_every_consumer_when_the_last_producer_closes) {
  Queue<int> queue{session(), Role::both};
  session().barrier();
  // One after another, and what was put comes before the end.
  for (int rank = 0; rank < ranks(); ++rank) {
    if (self() == rank) {
      queue.put(rank);
      EXPECT_FALSE(queue.has_ended());
      queue.close();
    }
    session().barrier();
  }
  std::uint64_t count = 0;
  while (queue.get()) ++count;
  EXPECT_TRUE(queue.has_ended());
  EXPECT_EQ(sum_of(count), static_cast<std::uint64_t>(ranks()));
}

TEST_F(queues, are_closed_by_their_destructor_as_well) {
  for (int i = 0; i < 20; ++i) {
    Queue<int> queue{session(), first_to_last()};
    if (self() == 0) queue.put(i);
    if (ranks() == 1) queue.close();
    if (self() != ranks() - 1) continue;
    EXPECT_EQ(queue.get(), i);
    EXPECT_FALSE(queue.get());
    EXPECT_TRUE(queue.has_ended());
  }
}

TEST_F(queues, take_nothing_more_after_close) {
  Queue<int> queue{session(), first_to_last()};
  if (puts(first_to_last())) {
    queue.put(1);
    queue.close();
    queue.close();
  }
  // Whether it was a producer once or never.
  EXPECT_THROW(queue.put(2), Closed);
  EXPECT_THROW((void)queue.try_put(2), Closed);
  EXPECT_THROW((void)queue.put_for(2, 1h), Closed);
  if (gets(first_to_last())) {
    EXPECT_EQ(queue.get(), 1);
    EXPECT_FALSE(queue.get());
    EXPECT_FALSE(queue.get());
  } else {
    EXPECT_THROW((void)queue.get(), Closed);
  }
}

TEST_F(queues, know_who_left_by_an_exception_from_who_closed) {
  if (ranks() == 1) return;
  const int last = ranks() - 1;
  Value<int> done{session(), 0};
  try {
    Queue<int> queue{session(), self() == 0 ? Role::producer : self() == last ? Role::consumer : Role::none};
    if (self() == 0) {
      queue.put(1);
      throw std::runtime_error("this rank is in trouble");
    }
    if (self() == last) {
      EXPECT_EQ(queue.get(), 1);
      EXPECT_THROW((void)queue.get(), comm::RankLost);
      done.store(1);
    }
  } catch (const std::runtime_error&) {
    EXPECT_TRUE(comes_true([&] { return done.load() == 1; }));
  }
}

TEST_F(queues, are_closed_to_producers_when_no_consumer_is_left) {
  if (ranks() == 1) {
    Queue<int> queue{session(), Role::both};
    queue.close();
    EXPECT_THROW(queue.put(1), Closed);
    return;
  }
  const int last = ranks() - 1;
  Queue<int> queue{session(), self() == last ? Role::consumer : Role::producer, {.capacity = 2}};
  if (self() == last) return;  // its destructor: nothing is read
  EXPECT_THROW(
      {
        for (;;) queue.put(1);
      },
      Closed);
}

// ---- bounds ----

TEST_F(queues, are_full_at_their_capacity) {
  for (const std::uint64_t capacity : {1, 2, 5}) {
    Queue<std::string> queue{session(), first_to_last(), {.capacity = capacity}};
    const bool shares_memory = comm::Nodes::of(session()).is_here(ranks() - 1);
    const std::string item(3000, 'x');
    std::uint64_t count = 0;
    if (self() == 0) {
      EXPECT_TRUE(comes_true([&] {
        if (queue.try_put(item)) ++count;
        return count >= capacity;
      }));
      count += sent_until_full([&] { return queue.put_for(item, 20ms); });
      if (shares_memory) {
        EXPECT_EQ(count, capacity);
        EXPECT_FALSE(queue.try_put(item));
      }
      EXPECT_LE(count, 2 * capacity);
    }
    session().barrier();
    if (self() == ranks() - 1) {
      EXPECT_EQ(queue.get(), item);
    }
    if (self() == 0) {
      EXPECT_TRUE(queue.put_for(item, 30s)) << "there is room again";
    }
    session().barrier();
  }
}

TEST_F(queues, keep_a_fast_producer_waiting) {
  constexpr std::uint64_t capacity = 4;
  constexpr std::uint64_t items = 60;
  constexpr std::size_t megabyte = 1 << 20;
  const std::uint64_t before = bytes_in_open_memory();
  Queue<std::vector<char>> queue{session(), first_to_last(), {.capacity = capacity}};
  Value<std::uint64_t> received{session(), 0};
  if (ranks() == 1) {
    for (std::uint64_t i = 0; i < items; ++i) {
      queue.put(std::vector<char>(megabyte));
      EXPECT_TRUE(queue.get());
      EXPECT_LE(bytes_in_open_memory(), before + 2 * megabyte);
    }
    return;
  }
  if (self() == 0) {
    for (std::uint64_t i = 0; i < items; ++i) {
      queue.put(std::vector<char>(megabyte));
      EXPECT_LE(bytes_in_open_memory(), before + (2 * capacity + 4) * megabyte) << "after " << i << " items";
      // In the queue, on the way to it from another node, and one in the consumer's hand.
      EXPECT_LE(i + 1, received.load() + 2 * capacity + 1);
    }
    queue.close();
  } else if (self() == ranks() - 1) {
    for (std::uint64_t i = 0; i < items; ++i) {
      EXPECT_TRUE(queue.get());
      received.fetch_add(1);
    }
    EXPECT_FALSE(queue.get());
  }
  session().barrier();
  EXPECT_LE(bytes_in_open_memory(), before + 2 * megabyte) << "what was taken is given back";
}

TEST_F(queues, take_what_nobody_got_with_them) {
  constexpr std::size_t megabyte = 1 << 20;
  const std::uint64_t before = bytes_in_open_memory();
  for (int i = 0; i < 5; ++i) {
    Queue<std::vector<char>> queue{session(), first_to_last(), {.capacity = 3}};
    if (self() == 0) {
      queue.put(std::vector<char>(4 * megabyte));
      queue.put(std::vector<char>(4 * megabyte));
    }
    session().barrier();
  }
  session().barrier();
  // Between nodes each goes when it is known that no rank has more to ask of it.
  EXPECT_TRUE(comes_true([&] { return bytes_in_open_memory() <= before + 9 * megabyte; }))
      << "five queues had 8 megabytes each";
}

TEST_F(queues, leave_no_file_open) {
  { Queue<int> first{session(), Role::both}; }
  session().barrier();
  const std::size_t before = open_files();
  for (int i = 0; i < 30; ++i) {
    Queue<int> queue{session(), Role::both, {.capacity = 8}};
    queue.put(i);
    EXPECT_TRUE(queue.get());
  }
  session().barrier();
  EXPECT_EQ(open_files(), before);
}

TEST_F(queues, need_nobody_who_computes) {
  Queue<std::string> queue{session(), Role::both, {.capacity = 64}};
  while_the_master_computes([&] {
    for (int i = 0; i < 200; ++i) {
      queue.put(std::string(static_cast<std::size_t>(i * 37 % 5000), 'x'));
      EXPECT_TRUE(queue.get());
    }
  });
}

// ---- errors ----

template <typename Make>
std::string usage_error_of(Make make) {
  try {
    make();
  } catch (const base::UsageError& error) {
    return error.what();
  }
  return "no error";
}

TEST_F(queues, tell_all_ranks_what_is_wrong) {
  using testing::HasSubstr;
  const auto of = [](Role role, std::uint64_t capacity) {
    return usage_error_of([&] { Queue<int>{session(), role, {.capacity = capacity}}; });
  };
  for (int round = 0; round < 3; ++round) {
    EXPECT_THAT(of(Role::both, 0), HasSubstr("a queue holds 1 to 16777216 items, not 0"));
    EXPECT_THAT(of(Role::both, (1 << 24) + 1), HasSubstr("not 16777217"));
    EXPECT_THAT(of(Role::consumer, 8), HasSubstr("Role::producer"));
    EXPECT_THAT(of(Role::producer, 8), HasSubstr("Role::consumer"));
    EXPECT_THAT(of(Role::none, 8), HasSubstr("Role::producer"));
    exchange(all_casts().back(), 2, 10);  // all goes on
  }
}

TEST_F(queues, can_be_many_at_once) {
  const int to = (self() + 1) % ranks();
  std::vector<std::unique_ptr<Queue<int>>> all;
  for (int from = 0; from < ranks(); ++from) {
    const bool is_producer = from == self();
    const bool is_consumer = (from + 1) % ranks() == self();
    all.push_back(std::make_unique<Queue<int>>(session(),
                                               is_producer   ? is_consumer ? Role::both : Role::producer
                                               : is_consumer ? Role::consumer
                                                             : Role::none,
                                               QueueOptions{.capacity = 2}));
  }
  Queue<int>& out = *all[static_cast<std::size_t>(self())];
  Queue<int>& in = *all[static_cast<std::size_t>((self() + ranks() - 1) % ranks())];
  for (int i = 0; i < rounds(200, 50); ++i) {
    out.put(1000 * to + i);
    EXPECT_EQ(in.get(), 1000 * self() + i);
  }
}

}  // namespace
}  // namespace echelon::shared
