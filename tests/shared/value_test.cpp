#include <cstdint>
#include <limits>

#include <gtest/gtest.h>

#include <echelon/shared/value.hpp>

#include "shared/ranks.hpp"

namespace echelon::shared {
namespace {

using namespace test;

class values : public Watched {};

/// Each rank reads what there is, when nobody changes it.
template <typename T>
void expect_all_see(Value<T>& value, const T& expected) {
  session().barrier();
  EXPECT_TRUE(value.load() == expected) << "on rank " << self();
  session().barrier();
}

TEST_F(values, lose_no_update) {
  const int times = rounds(2'000'000, 1'000);
  Value<std::int64_t> count{session(), 5};
  start_together();
  for (int i = 0; i < times; ++i) count.fetch_add(i % 2 == 0 ? 3 : -1);
  expect_all_see(count, std::int64_t{5} + ranks() * times);
}

template <typename T>
void give_each_number_once() {
  const int times = rounds(2000, 200);
  Value<T> next{session()};
  start_together();
  // What each was given, all together, is 0 to n - 1, each once: their sum and the sum of their squares say so.
  std::uint64_t sum = 0;
  std::uint64_t squares = 0;
  for (int i = 0; i < times; ++i) {
    const auto mine = static_cast<std::uint64_t>(next.fetch_add(1));
    sum += mine;
    squares += mine * mine;
  }
  const auto n = static_cast<std::uint64_t>(times) * static_cast<std::uint64_t>(ranks());
  EXPECT_EQ(sum_of(sum), n * (n - 1) / 2);
  EXPECT_EQ(sum_of(squares), (n - 1) * n * (2 * n - 1) / 6);
}

TEST_F(values, give_each_number_once) {
  give_each_number_once<std::int32_t>();
  give_each_number_once<std::uint64_t>();
  give_each_number_once<std::uint16_t>();
  give_each_number_once<float>();
  give_each_number_once<double>();
}

TEST_F(values, wrap_round) {
  Value<std::uint8_t> small{session(), 250};
  Value<std::int16_t> negative{session(), std::numeric_limits<std::int16_t>::max()};
  if (self() == ranks() - 1) {
    EXPECT_EQ(small.fetch_add(10), 250);
    EXPECT_EQ(negative.fetch_add(1), std::numeric_limits<std::int16_t>::max());
  }
  expect_all_see<std::uint8_t>(small, 4);
  expect_all_see(negative, std::numeric_limits<std::int16_t>::min());
}

TEST_F(values, begin_with_what_the_master_says) {
  Value<int> value{session(), 100 + self()};
  Value<double> zero{session()};
  expect_all_see(value, 100);
  expect_all_see(zero, 0.0);
}

TEST_F(values, add_what_floating_point_can) {
  Value<double> sum{session(), 0.5};
  Value<float> small{session(), 0.25F};
  for (int i = 0; i < 100; ++i) {
    sum.fetch_add(1.25);
    small.fetch_add(-0.5F);
  }
  expect_all_see(sum, 0.5 + 125.0 * ranks());
  expect_all_see(small, 0.25F - 50.0F * static_cast<float>(ranks()));
}

TEST_F(values, are_stored_and_loaded_whole) {
  // Halves that always agree.
  struct Pair {
    std::uint32_t one;
    std::uint32_t other;
    bool operator==(const Pair&) const = default;
  };
  Value<Pair> pair{session(), {7, ~7U}};
  start_together();
  const int times = rounds(20'000, 300);
  for (int i = 0; i < times; ++i) {
    const auto word = static_cast<std::uint32_t>(self() * times + i);
    if (i % 3 == 0) pair.store({word, ~word});
    const Pair found = i % 3 == 1 ? pair.exchange({word, ~word}) : pair.load();
    EXPECT_EQ(found.one, ~found.other);
  }
  session().barrier();
}

TEST_F(values, exchange_hands_each_thing_to_one) {
  // Each rank puts its own mark in and gets another's out; the last is left inside.
  constexpr std::uint64_t modulus = 1'000'003;
  const int times = rounds(500'000, 300);
  Value<std::uint64_t> slot{session(), 0};
  start_together();
  std::uint64_t in = 0;
  std::uint64_t out = 0;
  for (int i = 0; i < times; ++i) {
    const auto mark = static_cast<std::uint64_t>(self() * times + i) * 7919 % modulus + 1;
    in += mark;
    out += slot.exchange(mark);
  }
  session().barrier();
  const std::uint64_t left = slot.load();
  EXPECT_EQ(sum_of(in), sum_of(out) + left);
  EXPECT_NE(left, 0U);
}

TEST_F(values, compare_and_exchange_in_a_loop) {
  const int times = rounds(2000, 50);
  Value<double> sum{session(), 0.5};
  Value<int> most{session(), -1};
  start_together();
  for (int i = 0; i < times; ++i) {
    double before = sum.load();
    while (!sum.compare_exchange(before, before + 2)) {
    }
    const int mine = i * ranks() + self();
    int seen = most.load();
    while (seen < mine && !most.compare_exchange(seen, mine)) {
    }
  }
  expect_all_see(sum, 0.5 + 2.0 * ranks() * times);
  expect_all_see(most, times * ranks() - 1);
}

TEST_F(values, compare_and_exchange_says_what_it_found) {
  Value<std::int32_t> value{session(), -3};
  session().barrier();
  std::int32_t expected = 8;
  EXPECT_FALSE(value.compare_exchange(expected, 9));
  EXPECT_EQ(expected, -3);
  session().barrier();
  if (self() == ranks() - 1) {
    EXPECT_TRUE(value.compare_exchange(expected, 9));
    EXPECT_EQ(expected, -3) << "it stays as it was";
  }
  expect_all_see(value, 9);
}

TEST_F(values, of_bool_choose_one_rank) {
  for (int i = 0; i < 50; ++i) {
    Value<bool> is_taken{session(), false};
    const bool is_first = !is_taken.exchange(true);
    EXPECT_EQ(sum_of(is_first ? 1 : 0), 1U);
    expect_all_see(is_taken, true);
  }
}

enum class Stage : std::uint16_t { begun = 300, half = 600, done = 900 };

TEST_F(values, can_be_of_an_enumeration) {
  Value<Stage> stage{session(), Stage::begun};
  session().barrier();
  Stage expected = Stage::begun;
  const bool is_first = stage.compare_exchange(expected, Stage::half);
  EXPECT_EQ(expected, is_first ? Stage::begun : Stage::half);
  EXPECT_EQ(sum_of(is_first ? 1 : 0), 1U);
  if (is_first) {
    EXPECT_EQ(stage.exchange(Stage::done), Stage::half);
  }
  expect_all_see(stage, Stage::done);
}

struct Small {
  char letter;
  std::int8_t number;
  bool operator==(const Small&) const = default;
};

TEST_F(values, can_be_small_structures) {
  Value<Small> small{session(), {'a', -1}};
  expect_all_see(small, {'a', -1});
  if (self() == ranks() - 1) small.store({'z', 3});
  expect_all_see(small, {'z', 3});
  Value<char> letter{session(), 'x'};
  expect_all_see(letter, 'x');
}

TEST_F(values, need_nobody_who_computes) {
  Value<std::uint64_t> count{session(), 0};
  while_the_master_computes([&] {
    for (int i = 0; i < 200; ++i) count.fetch_add(1);
  });
  expect_all_see<std::uint64_t>(count, 200U * static_cast<unsigned>(ranks() - 1));
}

}  // namespace
}  // namespace echelon::shared
