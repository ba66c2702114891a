#include <algorithm>
#include <cstdint>
#include <optional>
#include <ostream>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/schedule/chunks.hpp>

namespace echelon::schedule {

void PrintTo(const Chunk& chunk, std::ostream* out) { *out << "[" << chunk.first << ", +" << chunk.count << ")"; }

namespace {

using testing::ElementsAre;

struct Loop {
  Schedule schedule;
  std::uint64_t items;
  std::uint64_t workers;
  std::uint64_t chunk;
};

std::string text(const Loop& loop) {
  return std::string{name(loop.schedule)} + ": " + std::to_string(loop.items) + " items, " +
         std::to_string(loop.workers) + " workers, chunk " + std::to_string(loop.chunk);
}

Chunks chunks(const Loop& loop) { return {loop.schedule, loop.items, loop.workers, loop.chunk}; }

std::vector<Chunk> all_chunks(const Loop& loop) {
  Chunks source = chunks(loop);
  std::vector<Chunk> found;
  while (const std::optional<Chunk> chunk = source.at(found.size())) found.push_back(*chunk);
  return found;
}

std::vector<std::uint64_t> sizes(const Loop& loop) {
  std::vector<std::uint64_t> found;
  for (const Chunk& chunk : all_chunks(loop)) found.push_back(chunk.count);
  return found;
}

/// Every item once, in order, in chunks that are not empty.
void expect_covered(const Loop& loop, const std::vector<Chunk>& found) {
  std::uint64_t next = 0;
  for (const Chunk& chunk : found) {
    ASSERT_EQ(chunk.first, next);
    ASSERT_GE(chunk.count, 1U);
    ASSERT_LE(chunk.count, loop.items - next);
    next += chunk.count;
  }
  ASSERT_EQ(next, loop.items);
}

using Random = std::mt19937_64;

/// Any number of bits up to `bits` equally often.
std::uint64_t random_number(Random& random, std::uint64_t bits) {
  return random() % (std::uint64_t{1} << random() % (bits + 1));
}

Loop random_loop(Random& random) {
  const std::span<const Schedule> schedules = all_schedules();
  Loop loop{schedules[random() % schedules.size()], random_number(random, 14), 1 + random_number(random, 8),
            1 + random_number(random, 10)};
  if (random() % 4 == 0) loop.items = random() % 4;
  if (random() % 4 == 0) loop.workers = 1 + random() % 3;
  if (random() % 4 == 0) loop.chunk = 1;
  return loop;
}

TEST(chunks, cover_every_range_once_in_order) {
  Random random{1};
  for (int i = 0; i < 20'000; ++i) {
    const Loop loop = random_loop(random);
    SCOPED_TRACE(text(loop));
    expect_covered(loop, all_chunks(loop));
    if (HasFatalFailure()) return;
  }
}

TEST(chunks, are_no_smaller_than_the_least_size_but_for_the_last) {
  Random random{2};
  for (int i = 0; i < 5000; ++i) {
    const Loop loop = random_loop(random);
    if (loop.schedule == Schedule::fixed) continue;
    SCOPED_TRACE(text(loop));
    std::vector<std::uint64_t> found = sizes(loop);
    if (!found.empty()) found.pop_back();
    for (const std::uint64_t size : found) ASSERT_GE(size, loop.chunk);
    ASSERT_TRUE(std::ranges::is_sorted(found, std::ranges::greater{}));
  }
}

TEST(chunks, are_the_same_where_numbers_are_left_out) {
  Random random{3};
  for (int i = 0; i < 5000; ++i) {
    const Loop loop = random_loop(random);
    SCOPED_TRACE(text(loop));
    const std::vector<Chunk> expected = all_chunks(loop);
    Chunks source = chunks(loop);
    for (std::uint64_t number = random() % 4; number < expected.size(); number += random() % 5) {
      ASSERT_EQ(source.at(number), expected[number]) << number;
    }
    for (std::uint64_t past = expected.size(); past < expected.size() + 3; ++past) {
      ASSERT_EQ(source.at(past), std::nullopt) << past;
    }
    ASSERT_EQ(source.at(~std::uint64_t{0}), std::nullopt);
  }
}

TEST(chunks, of_no_items_are_none) {
  for (const Schedule schedule : all_schedules()) {
    for (const std::uint64_t workers : {1, 3}) EXPECT_THAT(all_chunks({schedule, 0, workers, 2}), ElementsAre());
  }
}

TEST(chunks, of_one_item_are_one) {
  for (const Schedule schedule : all_schedules()) {
    for (const std::uint64_t workers : {1, 3}) {
      EXPECT_THAT(all_chunks({schedule, 1, workers, 2}), ElementsAre(Chunk{0, 1})) << name(schedule);
    }
  }
}

TEST(chunks, of_one_worker_and_static_are_one) {
  EXPECT_THAT(all_chunks({Schedule::fixed, 1000, 1, 1}), ElementsAre(Chunk{0, 1000}));
}

TEST(chunks, static_spreads_the_remainder_over_the_first_workers) {
  EXPECT_THAT(all_chunks({Schedule::fixed, 10, 4, 7}), ElementsAre(Chunk{0, 3}, Chunk{3, 3}, Chunk{6, 2}, Chunk{8, 2}));
  EXPECT_THAT(all_chunks({Schedule::fixed, 3, 5, 1}), ElementsAre(Chunk{0, 1}, Chunk{1, 1}, Chunk{2, 1}));
  Random random{4};
  for (int i = 0; i < 2000; ++i) {
    const Loop loop{Schedule::fixed, 1 + random_number(random, 53), 1 + random_number(random, 8), 1};
    SCOPED_TRACE(text(loop));
    const std::vector<std::uint64_t> found = sizes(loop);
    ASSERT_EQ(found.size(), std::min(loop.items, loop.workers));
    const auto [least, most] = std::ranges::minmax_element(found);
    ASSERT_LE(*most - *least, 1U);
    ASSERT_TRUE(std::ranges::is_sorted(found, std::ranges::greater{}));
  }
}

TEST(chunks, dynamic_have_one_size_but_for_the_last) {
  EXPECT_THAT(sizes({Schedule::dynamic, 10, 4, 3}), ElementsAre(3, 3, 3, 1));
  EXPECT_THAT(sizes({Schedule::dynamic, 9, 1, 3}), ElementsAre(3, 3, 3));
  EXPECT_THAT(sizes({Schedule::dynamic, 9, 1, 1000}), ElementsAre(9));
}

// By hand: ceil(100 / 4) = 25, ceil(75 / 4) = 19, ceil(56 / 4) = 14, ...
TEST(chunks, guided_are_the_remaining_items_over_the_workers) {
  EXPECT_THAT(sizes({Schedule::guided, 100, 4, 1}), ElementsAre(25, 19, 14, 11, 8, 6, 5, 3, 3, 2, 1, 1, 1, 1));
  EXPECT_THAT(sizes({Schedule::guided, 100, 4, 10}), ElementsAre(25, 19, 14, 11, 10, 10, 10, 1));
  EXPECT_THAT(sizes({Schedule::guided, 5, 1, 1}), ElementsAre(5));
}

// By hand: 4 of ceil(100 / 8) = 13, then of the remaining 48 4 of 6, of 24 4 of 3, of 12 4 of 2, of 4 4 of 1.
TEST(chunks, factoring_halves_the_rest_in_batches) {
  EXPECT_THAT(sizes({Schedule::factoring, 100, 4, 1}),
              ElementsAre(13, 13, 13, 13, 6, 6, 6, 6, 3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1));
  EXPECT_THAT(sizes({Schedule::factoring, 100, 4, 5}), ElementsAre(13, 13, 13, 13, 6, 6, 6, 6, 5, 5, 5, 5, 4));
  EXPECT_THAT(sizes({Schedule::factoring, 8, 1, 1}), ElementsAre(4, 2, 1, 1));
}

// By hand: largest f = ceil(1000 / 8) = 125, least 1, steps ceil(2000 / 126) = 16, decrement floor(124 / 15) = 8.
TEST(chunks, trapezoid_fall_in_equal_steps) {
  EXPECT_THAT(sizes({Schedule::trapezoid, 1000, 4, 1}),
              ElementsAre(125, 117, 109, 101, 93, 85, 77, 69, 61, 53, 45, 37, 28));
  // f = 125, least 50: steps ceil(2000 / 175) = 12, decrement floor(75 / 11) = 6.
  EXPECT_THAT(sizes({Schedule::trapezoid, 1000, 4, 50}), ElementsAre(125, 119, 113, 107, 101, 95, 89, 83, 77, 71, 20));
  EXPECT_THAT(sizes({Schedule::trapezoid, 10, 4, 3}), ElementsAre(3, 3, 3, 1));
}

TEST(chunks, largest_loop_is_divided_in_constant_time) {
  constexpr std::uint64_t items = std::uint64_t{1} << 53;
  Random random{5};
  for (const Schedule schedule : {Schedule::fixed, Schedule::dynamic}) {
    for (int i = 0; i < 2000; ++i) {
      const Loop loop{schedule, items, 1 + random_number(random, 52), 1 + random_number(random, 52)};
      SCOPED_TRACE(text(loop));
      Chunks source = chunks(loop);
      const std::uint64_t number = random_number(random, 52);
      const std::optional<Chunk> one = source.at(number);
      const std::optional<Chunk> next = source.at(number + 1);
      if (!one) {
        ASSERT_EQ(next, std::nullopt);
      } else {
        ASSERT_EQ(one->first + one->count, next ? next->first : items);
      }
    }
  }
}

TEST(chunks, largest_loop_is_covered_by_the_shrinking_schedules) {
  constexpr std::uint64_t items = std::uint64_t{1} << 53;
  for (const Schedule schedule : {Schedule::guided, Schedule::factoring, Schedule::trapezoid}) {
    for (const std::uint64_t workers : {1, 2, 7, 1000}) {
      const Loop loop{schedule, items, workers, 1};
      SCOPED_TRACE(text(loop));
      expect_covered(loop, all_chunks(loop));
    }
  }
}

TEST(default_dynamic_chunk, gives_each_worker_about_128_chunks) {
  EXPECT_EQ(default_dynamic_chunk(1280, 10), 1U);
  EXPECT_EQ(default_dynamic_chunk(128'000, 10), 100U);
  EXPECT_EQ(default_dynamic_chunk(std::uint64_t{1} << 53, 1), std::uint64_t{1} << 46);
}

TEST(default_dynamic_chunk, is_never_nothing) {
  EXPECT_EQ(default_dynamic_chunk(0, 1), 1U);
  EXPECT_EQ(default_dynamic_chunk(1, 1000), 1U);
}

TEST(schedules, names_are_those_of_the_command_line) {
  std::vector<std::string> names;
  for (const Schedule schedule : all_schedules()) names.emplace_back(name(schedule));
  EXPECT_THAT(names, ElementsAre("static", "dynamic", "guided", "factoring", "trapezoid"));
}

}  // namespace
}  // namespace echelon::schedule
