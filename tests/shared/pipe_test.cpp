#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/base/error.hpp>
#include <echelon/shared/pipe.hpp>

#include "shared/ranks.hpp"

namespace echelon::shared {
namespace {

using namespace test;
using namespace std::chrono_literals;
using testing::HasSubstr;

class pipes : public Watched {};

/// Pairs of ranks that have the ends; none where there is one rank only.
std::vector<std::pair<int, int>> all_ends() {
  const int last = ranks() - 1;
  if (last == 0) return {};
  if (last == 1) return {{0, 1}, {1, 0}};
  return {{0, last}, {last, 0}, {1, 2}};
}

bool has_end(std::pair<int, int> ends) { return self() == ends.first || self() == ends.second; }

TEST_F(pipes, carry_both_ways_in_order) {
  for (const auto& ends : all_ends()) {
    for (const std::uint64_t capacity : {1, 3, 1024}) {
      Pipe<std::uint64_t> pipe{session(), ends.first, ends.second, {.capacity = capacity}};
      if (!has_end(ends)) continue;
      const int there = self() == ends.first ? ends.second : ends.first;
      const auto items = static_cast<std::uint64_t>(rounds(2000, 300));
      for (std::uint64_t i = 0; i < items; ++i) {
        pipe.send(static_cast<std::uint64_t>(self()) << 32 | i);
        EXPECT_EQ(pipe.receive(), static_cast<std::uint64_t>(there) << 32 | i);
      }
      pipe.close();
      EXPECT_FALSE(pipe.receive());
    }
  }
}

TEST_F(pipes, carry_one_way_what_is_sent_before_the_end_of_file) {
  for (const auto& ends : all_ends()) {
    Pipe<std::string> pipe{session(), ends.first, ends.second, {.capacity = 4}};
    const auto text = [](int i) { return std::string(static_cast<std::size_t>(i % 7 * 1000), static_cast<char>(i)); };
    if (self() == ends.first) {
      for (int i = 0; i < 500; ++i) pipe.send(text(i));
      pipe.close();
    } else if (self() == ends.second) {
      for (int i = 0; i < 500; ++i) {
        EXPECT_EQ(pipe.receive(), text(i));
        EXPECT_FALSE(pipe.has_ended());
      }
      for (int i = 0; i < 2; ++i) {
        EXPECT_FALSE(pipe.receive());
        EXPECT_TRUE(pipe.has_ended());
        EXPECT_FALSE(pipe.try_receive());
        EXPECT_TRUE(pipe.has_ended());
        EXPECT_FALSE(pipe.receive_for(1h));
        EXPECT_TRUE(pipe.has_ended());
      }
    }
  }
}

TEST_F(pipes, carry_large_items_and_empty_ones_both_ways) {
  for (const auto& ends : all_ends()) {
    Pipe<std::vector<int>> pipe{session(), ends.first, ends.second};
    if (!has_end(ends)) continue;
    const auto items = [](int from) {
      return std::vector<std::vector<int>>{{}, std::vector<int>(2'000'000, from), {}, {from}};
    };
    for (const auto& item : items(self())) pipe.send(item);
    for (const auto& item : items(self() == ends.first ? ends.second : ends.first)) {
      EXPECT_TRUE(pipe.receive() == item);
    }
  }
}

TEST_F(pipes, have_nothing_now_or_for_so_long) {
  for (const auto& ends : all_ends()) {
    Pipe<int> pipe{session(), ends.first, ends.second};
    if (has_end(ends)) {
      EXPECT_FALSE(pipe.try_receive());
      EXPECT_FALSE(pipe.has_ended());
      EXPECT_GE(time_of([&] { EXPECT_FALSE(pipe.receive_for(20ms)); }), 20ms);
      EXPECT_FALSE(pipe.has_ended());
    }
    session().barrier();
    if (has_end(ends)) {
      pipe.send(self());
      pipe.send(self() + 1);
      const int there = self() == ends.first ? ends.second : ends.first;
      EXPECT_EQ(pipe.receive_for(1h), there);
      std::optional<int> tried;
      EXPECT_TRUE(comes_true([&] { return (tried = pipe.try_receive()).has_value(); }));
      EXPECT_EQ(tried, there + 1);
    }
    session().barrier();
  }
}

TEST_F(pipes, hold_no_more_than_their_capacity_each_way) {
  constexpr std::uint64_t capacity = 3;
  for (const auto& ends : all_ends()) {
    Pipe<std::string> pipe{session(), ends.first, ends.second, {.capacity = capacity}};
    const std::string item(3000, 'x');
    std::uint64_t count = 0;
    if (has_end(ends)) {
      while (count < capacity && pipe.send_for(item, 30s)) ++count;
      EXPECT_EQ(count, capacity) << "before anyone receives";
      count += sent_until_full([&] { return pipe.send_for(item, 20ms); });
      EXPECT_LE(count, comm::Nodes::of(session()).is_one() ? capacity : 2 * capacity);
    }
    const std::vector<std::uint64_t> counts = comm::all_gather(session(), count);
    if (has_end(ends)) {
      // Between nodes there may be more on their way than the capacity, and room again only below it.
      const int there = self() == ends.first ? ends.second : ends.first;
      for (std::uint64_t left = counts[static_cast<std::size_t>(there)]; left >= capacity; --left) {
        EXPECT_EQ(pipe.receive(), item);
      }
      EXPECT_TRUE(pipe.send_for(item, 30s)) << "there is room again";
    }
    session().barrier();
  }
}

TEST_F(pipes, say_that_nobody_would_receive_it) {
  for (const auto& ends : all_ends()) {
    for (const bool by_destructor : {false, true}) {
      auto pipe = std::make_unique<Pipe<int>>(session(), ends.first, ends.second, PipeOptions{.capacity = 2});
      if (self() == ends.second) {
        pipe->send(1);
        if (by_destructor) {
          pipe.reset();
        } else {
          pipe->close();
          EXPECT_THROW(pipe->send(2), Closed);
          EXPECT_FALSE(pipe->receive());
          EXPECT_TRUE(pipe->has_ended());
        }
      } else if (self() == ends.first) {
        EXPECT_THROW(
            {
              for (;;) pipe->send(3);
            },
            Closed);
        EXPECT_EQ(pipe->receive(), 1) << "what was sent before is still there";
        EXPECT_FALSE(pipe->receive());
        EXPECT_TRUE(pipe->has_ended());
      } else {
        EXPECT_THROW(pipe->send(4), Closed) << "it has no end";
        EXPECT_THROW((void)pipe->try_receive(), Closed);
      }
    }
  }
}

TEST_F(pipes, send_nothing_after_the_end_of_file) {
  for (const auto& ends : all_ends()) {
    for (const bool by_destructor : {false, true}) {
      auto pipe = std::make_unique<Pipe<int>>(session(), ends.first, ends.second);
      if (self() == ends.second) by_destructor ? pipe.reset() : pipe->close();
      if (self() != ends.first) continue;
      EXPECT_FALSE(pipe->receive());
      EXPECT_TRUE(pipe->has_ended());
      EXPECT_THROW(pipe->send(1), Closed);
      EXPECT_FALSE(pipe->receive());
      EXPECT_THROW(pipe->send(2), Closed);
    }
  }
}

TEST_F(pipes, can_go_round) {
  if (ranks() == 1) return;
  std::vector<std::unique_ptr<Pipe<int>>> all;
  for (int rank = 0; rank < ranks(); ++rank) {
    all.push_back(std::make_unique<Pipe<int>>(session(), rank, (rank + 1) % ranks(), PipeOptions{.capacity = 1}));
  }
  Pipe<int>& next = *all[static_cast<std::size_t>(self())];
  Pipe<int>& before = *all[static_cast<std::size_t>((self() + ranks() - 1) % ranks())];
  const int turns = rounds(500, 100);
  for (int i = 0; i < turns; ++i) {
    if (self() == 0) {
      next.send(i * ranks());
      EXPECT_EQ(before.receive(), i * ranks() + ranks() - 1);
    } else {
      const auto token = before.receive();
      EXPECT_EQ(token, i * ranks() + self() - 1);
      next.send(token.value_or(0) + 1);
    }
  }
}

TEST_F(pipes, need_nobody_who_computes) {
  if (ranks() < 3) return;
  Pipe<int> pipe{session(), 1, 2, {.capacity = 2}};
  while_the_master_computes([&] {
    for (int i = 0; i < 200 && self() <= 2; ++i) {
      pipe.send(i);
      EXPECT_EQ(pipe.receive(), i);
    }
  });
}

TEST_F(pipes, tell_all_ranks_what_is_wrong) {
  const auto error_of = [](int one, int other, std::uint64_t capacity = 8) -> std::string {
    try {
      Pipe<int>{session(), one, other, {.capacity = capacity}};
    } catch (const base::UsageError& error) {
      return error.what();
    }
    return "no error";
  };
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(error_of(0, 0), HasSubstr("not in 0 and 0"));
    EXPECT_THAT(error_of(0, ranks()), HasSubstr("two ranks of the " + std::to_string(ranks())));
    EXPECT_THAT(error_of(-1, 0), HasSubstr("not in -1 and 0"));
    if (ranks() > 1) {
      EXPECT_THAT(error_of(0, 1, 0), HasSubstr("a pipe holds 1 to 16777216 items, not 0"));
      EXPECT_EQ(error_of(0, 1), "no error");
    }
  }
}

}  // namespace
}  // namespace echelon::shared
