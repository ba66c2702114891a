#include <algorithm>
#include <cstdint>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/base/error.hpp>
#include <echelon/shared/array.hpp>
#include <echelon/shared/lock.hpp>

#include "shared/ranks.hpp"

namespace echelon::shared {
namespace {

using namespace test;

class arrays : public Watched {};

std::vector<std::uint64_t> sizes() {
  const auto count = static_cast<std::uint64_t>(ranks());
  return {0, 1, count - 1, count, count + 1, 2 * count + 1, 1000, 100'003};
}

TEST_F(arrays, have_blocks_as_even_as_can_be) {
  for (const std::uint64_t size : sizes()) {
    Array<int> array{session(), size};
    EXPECT_EQ(array.size(), size);
    EXPECT_EQ(array.first(0), 0U);
    EXPECT_EQ(array.first(ranks()), size);
    EXPECT_EQ(array.first(), array.first(self()));
    for (int rank = 0; rank < ranks(); ++rank) {
      const std::uint64_t block = array.first(rank + 1) - array.first(rank);
      const auto count = static_cast<std::uint64_t>(ranks());
      EXPECT_EQ(block, size / count + (static_cast<std::uint64_t>(rank) < size % count ? 1 : 0));
    }
    EXPECT_EQ(array.local().size(), array.first(self() + 1) - array.first());
    EXPECT_TRUE(std::ranges::all_of(array.local(), [](int x) { return x == 0; })) << "zeros at first";
  }
}

struct Point {
  double x;
  std::int16_t y;
  bool operator==(const Point&) const = default;
};

template <typename T, typename Make>
void write_and_read(Make make) {
  for (const std::uint64_t size : sizes()) {
    Array<T> array{session(), size};
    std::vector<T> all;
    for (std::uint64_t i = 0; i < size; ++i) all.push_back(make(i));
    // Each its own part.
    std::ranges::copy_n(all.begin() + static_cast<std::ptrdiff_t>(array.first()),
                        static_cast<std::ptrdiff_t>(array.local().size()), array.local().begin());
    array.barrier();
    EXPECT_TRUE(array.get(0, size) == all) << size << " elements";
    EXPECT_TRUE(array.gather() == (session().is_master() ? all : std::vector<T>{}));
    // Windows across the blocks' edges.
    for (std::uint64_t first = 0; first < size; first += size / 7 + 1) {
      const std::uint64_t count = std::min(size - first, size / 3 + 1);
      const auto part = array.get(first, count);
      EXPECT_TRUE(std::ranges::equal(part, std::span{all}.subspan(first, count)));
      EXPECT_TRUE(array.get(first) == all[first]);
    }
    array.barrier();
    // One writes all of it, in windows; each finds its part.
    std::ranges::reverse(all);
    if (self() == ranks() - 1) {
      const std::uint64_t window = size / 3 + 1;
      for (std::uint64_t first = 0; first < size; first += window) {
        array.put(first, std::span{std::as_const(all)}.subspan(first, std::min(window, size - first)));
      }
    }
    array.barrier();
    EXPECT_TRUE(std::ranges::equal(array.local(), std::span{all}.subspan(array.first(), array.local().size())));
    array.barrier();
  }
}

TEST_F(arrays, are_written_and_read_by_any_rank) {
  write_and_read<std::uint64_t>([](std::uint64_t i) { return i * 0x9e3779b97f4a7c15U; });
  write_and_read<char>([](std::uint64_t i) { return static_cast<char>(i % 251); });
  write_and_read<Point>(
      [](std::uint64_t i) { return Point{.x = 0.5 * static_cast<double>(i), .y = static_cast<std::int16_t>(i)}; });
}

TEST_F(arrays, take_elements_of_all_ranks_at_once) {
  const auto size = static_cast<std::uint64_t>(ranks()) * 100;
  Array<int> array{session(), size};
  // Rank r writes each element of which it is the turn.
  for (std::uint64_t i = static_cast<std::uint64_t>(self()); i < size; i += static_cast<std::uint64_t>(ranks())) {
    array.put(i, static_cast<int>(i) + 1);
  }
  array.barrier();
  std::vector<int> expected(size);
  std::iota(expected.begin(), expected.end(), 1);
  EXPECT_EQ(array.get(0, size), expected);
  array.barrier();
}

TEST_F(arrays, are_large) {
  const std::uint64_t size = 3'000'000 * static_cast<std::uint64_t>(ranks()) + 5;
  Array<std::uint64_t> array{session(), size};
  std::iota(array.local().begin(), array.local().end(), array.first());
  array.barrier();
  if (self() == ranks() - 1) {
    const auto all = array.get(0, size);
    std::uint64_t wrong = 0;
    for (std::uint64_t i = 0; i < size; ++i) wrong += all[i] == i ? 0U : 1U;
    EXPECT_EQ(wrong, 0U);
  }
  array.barrier();
}

TEST_F(arrays, are_seen_by_the_next_who_has_the_lock) {
  Array<std::uint64_t> array{session(), static_cast<std::uint64_t>(ranks())};
  Lock lock{session()};
  const int times = rounds(2000, 50);
  for (int i = 0; i < times; ++i) {
    const std::lock_guard guard{lock};
    auto all = array.get(0, array.size());
    EXPECT_EQ(std::ranges::count(all, all.front()), std::ssize(all));
    for (std::uint64_t& one : all) ++one;
    array.put(0, all);
  }
  array.barrier();
  EXPECT_EQ(array.get(array.size() - 1), static_cast<std::uint64_t>(times) * static_cast<std::uint64_t>(ranks()));
  array.barrier();
}

TEST_F(arrays, say_that_there_are_not_so_many) {
  for (const std::uint64_t size : {0, 1, 10}) {
    Array<int> array{session(), size};
    const std::vector<int> two(2);
    EXPECT_THROW((void)array.get(size), std::out_of_range);
    EXPECT_THROW((void)array.get(0, size + 1), std::out_of_range);
    EXPECT_THROW((void)array.get(~std::uint64_t{0}, 2), std::out_of_range);
    EXPECT_THROW((void)array.get(1, ~std::uint64_t{0}), std::out_of_range);
    EXPECT_THROW(array.put(size, 1), std::out_of_range);
    EXPECT_THROW(array.put(size == 0 ? 0 : size - 1, std::span{two}), std::out_of_range);
    EXPECT_NO_THROW((void)array.get(size, 0)) << "none are there";
    EXPECT_TRUE(array.get(0, 0).empty());
    array.barrier();
    EXPECT_EQ(array.get(0, size), std::vector<int>(size)) << "nothing was written";
    array.barrier();
  }
}

TEST_F(arrays, tell_all_ranks_what_is_wrong) {
  EXPECT_THROW((Array<double>{session(), std::uint64_t{1} << 60}), base::UsageError);
  if (ranks() > 1) {
    EXPECT_THROW((Array<int>{session(), self() == 0 ? 5U : 6U}), base::UsageError);
  }
  // More than a machine has, but not more than can be said.
  EXPECT_THROW((Array<char>{session(), std::uint64_t{1} << 47}), std::runtime_error);
  Array<int> array{session(), 4};
  EXPECT_EQ(array.get(0, 4), std::vector<int>(4));
  array.barrier();
}

TEST_F(arrays, need_nobody_who_computes) {
  Array<int> array{session(), 1000};
  while_the_master_computes([&] {
    for (std::uint64_t i = 0; i < 50; ++i) {
      array.put(i, static_cast<int>(i));
      EXPECT_EQ(array.get(i), static_cast<int>(i));
      EXPECT_EQ(array.get(0, 1000).size(), 1000U);
    }
  });
}

}  // namespace
}  // namespace echelon::shared
