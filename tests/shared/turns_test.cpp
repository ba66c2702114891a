#include "shared/turns.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "shared/memory.hpp"

namespace echelon::shared {
namespace {

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

constexpr auto nobody_lost = [](int) { return false; };

/// The memory of a line, and each rank's view of it.
struct Line {
  explicit Line(int of) : ranks{of}, memory{Turns::bytes(of)} { Turns::prepare(memory.data(), of); }
  [[nodiscard]] Turns turns() const { return {memory.data(), ranks}; }

  int ranks;
  PlainMemory memory;
};

/// What a Turns is meant to be, beside it, as ranks take, leave and die in any order.
class History {
 public:
  explicit History(std::uint64_t seed) : random_{seed}, line_{pick({1, 2, 3, 7})} {
    for (int rank = 0; rank < line_.ranks; ++rank) ranks_.push_back({.turns = line_.turns()});
  }

  void run() {
    const bool is_deadly = any(4) == 0;
    for (int step = 0; step < 80; ++step) {
      const int rank = any(line_.ranks);
      Rank& its = ranks_[static_cast<std::size_t>(rank)];
      if (its.is_lost) continue;
      if (is_deadly && any(30) == 0) {
        its.is_lost = true;
      } else if (!its.ticket) {
        any(2) == 0 ? take(rank) : try_take(rank);
      } else if (holder() == rank) {
        release(rank);
      } else if (any(2) == 0) {
        give_up(rank);
      }
      if (is_deadly && any(5) == 0) look_for_losses();
      check();
      if (testing::Test::HasFailure()) return;
    }
    finish();
  }

 private:
  struct Rank {
    Turns turns;
    std::optional<Turns::Ticket> ticket{};
    bool is_lost = false;
  };
  struct Place {
    int rank;
    bool given_up;
  };

  int any(int below) { return std::uniform_int_distribution<>{0, below - 1}(random_); }
  int pick(std::vector<int> from) { return from[static_cast<std::size_t>(any(static_cast<int>(from.size())))]; }

  [[nodiscard]] int holder() const { return places_.empty() ? -1 : places_.front().rank; }
  Place* place(int rank) {
    const auto found = std::ranges::find(places_, rank, &Place::rank);
    return found == places_.end() ? nullptr : &*found;
  }

  void take(int rank) {
    Rank& its = ranks_[static_cast<std::size_t>(rank)];
    its.ticket = its.turns.take(rank);
    if (Place* before = place(rank)) {
      before->given_up = false;
    } else {
      places_.push_back({rank, false});
    }
  }
  void try_take(int rank) {
    Rank& its = ranks_[static_cast<std::size_t>(rank)];
    its.ticket = its.turns.try_take(rank);
    EXPECT_EQ(its.ticket.has_value(), places_.empty()) << "try_take of rank " << rank;
    if (places_.empty()) places_.push_back({rank, false});
  }
  void give_up(int rank) {
    Rank& its = ranks_[static_cast<std::size_t>(rank)];
    EXPECT_TRUE(its.turns.give_up(rank, *its.ticket)) << "rank " << rank << " waits and gives up";
    its.ticket = std::nullopt;
    place(rank)->given_up = true;
  }
  void release(int rank) {
    Rank& its = ranks_[static_cast<std::size_t>(rank)];
    EXPECT_FALSE(its.turns.give_up(rank, *its.ticket)) << "rank " << rank << " has the turn";
    its.turns.release(*std::exchange(its.ticket, std::nullopt));
    places_.pop_front();
    while (!places_.empty() && places_.front().given_up) places_.pop_front();
  }
  /// By any rank that lives.
  void look_for_losses() {
    const auto alive = std::ranges::find(ranks_, false, &Rank::is_lost);
    if (alive == ranks_.end()) return;
    const auto lost =
        alive->turns.holder_lost([&](int rank) { return ranks_[static_cast<std::size_t>(rank)].is_lost; });
    const bool is_holder_lost = holder() >= 0 && ranks_[static_cast<std::size_t>(holder())].is_lost;
    EXPECT_EQ(lost, is_holder_lost ? std::optional{holder()} : std::nullopt);
    if (lost) return;
    for (Place& one : places_) {
      if (ranks_[static_cast<std::size_t>(one.rank)].is_lost) one.given_up = true;
    }
  }
  void check() {
    for (int rank = 0; rank < line_.ranks; ++rank) {
      const Rank& its = ranks_[static_cast<std::size_t>(rank)];
      if (its.is_lost || !its.ticket) continue;
      EXPECT_EQ(its.turns.is_granted(*its.ticket), holder() == rank) << "rank " << rank << ", holder " << holder();
    }
  }
  /// Who lives gets its turn, or knows of a loss.
  void finish() {
    while (holder() >= 0) {
      look_for_losses();
      if (testing::Test::HasFailure() || ranks_[static_cast<std::size_t>(holder())].is_lost) return;
      release(holder());
      check();
    }
    for (Rank& one : ranks_) EXPECT_TRUE(one.is_lost || !one.ticket);
  }

  std::mt19937_64 random_;
  Line line_;
  std::vector<Rank> ranks_;
  std::deque<Place> places_;
};

TEST(turns, go_as_a_plain_line_does_in_random_histories) {
  const char* const seed_text = std::getenv("ECHELON_HISTORY_SEED");
  const std::uint64_t first = seed_text == nullptr ? 1 : std::strtoull(seed_text, nullptr, 10);
  const std::uint64_t count = seed_text == nullptr ? 20'000 : 1;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    History{seed}.run();
    ASSERT_FALSE(HasFailure()) << "Replay it: ECHELON_HISTORY_SEED=" << seed;
  }
}

TEST(turns, come_back_to_one_rank_alone) {
  const Line line{1};
  Turns turns = line.turns();
  for (int round = 0; round < 10; ++round) {
    const auto ticket = turns.take(0);
    ASSERT_TRUE(turns.is_granted(ticket));
    ASSERT_FALSE(turns.give_up(0, ticket));
    turns.release(ticket);
    const auto tried = turns.try_take(0);
    ASSERT_TRUE(tried && turns.is_granted(*tried));
    turns.release(*tried);
  }
}

TEST(turns, pass_over_all_that_have_given_up) {
  constexpr int ranks = 7;
  const Line line{ranks};
  std::vector<Turns> all;
  for (int rank = 0; rank < ranks; ++rank) all.push_back(line.turns());
  for (int round = 0; round < 20; ++round) {
    const int first = round % ranks;
    const auto held = all[static_cast<std::size_t>(first)].take(first);
    for (int rank = 0; rank < ranks; ++rank) {
      if (rank == first) continue;
      Turns& its = all[static_cast<std::size_t>(rank)];
      ASSERT_TRUE(its.give_up(rank, its.take(rank)));
      ASSERT_FALSE(its.try_take(rank));
    }
    all[static_cast<std::size_t>(first)].release(held);
    const int next = (first + 3) % ranks;
    const auto free = all[static_cast<std::size_t>(next)].try_take(next);
    ASSERT_TRUE(free) << "nobody waits any more";
    all[static_cast<std::size_t>(next)].release(*free);
  }
}

TEST(turns, tell_of_a_holder_that_is_lost_and_not_of_one_that_waits) {
  const Line line{3};
  Turns first = line.turns();
  Turns second = line.turns();
  Turns third = line.turns();
  const auto lost = [](int rank) { return [rank](int one) { return one == rank; }; };
  EXPECT_EQ(third.holder_lost(lost(0)), std::nullopt) << "nobody has it";
  const auto held = first.take(0);
  const auto waits = second.take(1);
  const auto last = third.take(2);
  EXPECT_EQ(third.holder_lost(nobody_lost), std::nullopt);
  EXPECT_EQ(third.holder_lost(lost(0)), 0);
  EXPECT_EQ(third.holder_lost(lost(1)), std::nullopt) << "it only waits";
  first.release(held);
  EXPECT_FALSE(second.is_granted(waits)) << "rank 1 was taken out of the line";
  EXPECT_TRUE(third.is_granted(last));
  EXPECT_EQ(first.holder_lost(lost(0)), std::nullopt) << "rank 0 has left it";
  EXPECT_EQ(first.holder_lost(lost(2)), 2);
}

// ---- threads as ranks ----

struct Crowd {
  int ranks;
  int rounds;            // of each
  int impatient_of_ten;  // who give up now and then
  int trying_of_ten;
  bool looks_for_losses = false;
};

constexpr int rounds = is_sanitized ? 2'000 : 20'000;

/// Each rank takes its turn so many times, one at a time and in the order of the tickets.
void take_turns(const Crowd& crowd) {
  const Line line{crowd.ranks};
  const auto end = Clock::now() + limit;
  int inside = 0;  // not atomic: the turn guards it
  std::uint64_t sum = 0;
  std::optional<Turns::Ticket> before;
  std::atomic<bool> failed = false;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < crowd.ranks; ++rank) {
    threads.emplace_back([&, rank] {
      Turns turns = line.turns();
      std::mt19937 random{static_cast<unsigned>(rank)};
      const auto any = [&](int below) { return std::uniform_int_distribution<>{0, below - 1}(random); };
      const auto fail = [&](const char* why) {
        if (!failed.exchange(true)) ADD_FAILURE() << why;
      };
      for (int done = 0; done < crowd.rounds && !failed;) {
        std::optional<Turns::Ticket> ticket;
        if (any(10) < crowd.trying_of_ten) {
          ticket = turns.try_take(rank);
          if (ticket && !turns.is_granted(*ticket)) fail("what was tried is not there");
        } else {
          ticket = turns.take(rank);
          int patience = any(10) < crowd.impatient_of_ten ? any(5) : -1;
          while (!turns.is_granted(*ticket)) {
            if (crowd.looks_for_losses) {
              // The last rank is lost, and was never there.
              if (turns.holder_lost([&](int one) { return one == crowd.ranks - 1; })) return fail("nobody died inside");
            }
            if (patience >= 0 && patience-- == 0 && turns.give_up(rank, *ticket)) {
              ticket = std::nullopt;
              break;
            }
            if (Clock::now() > end || failed) return fail("a turn does not come");
            std::this_thread::yield();
          }
        }
        if (!ticket) {
          if (Clock::now() > end) return fail("no turn comes in time");
          continue;
        }
        if (inside++ != 0) fail("two have the turn");
        if (before && *ticket <= *before) fail("out of order");
        before = ticket;
        ++sum;
        if (any(8) == 0) std::this_thread::yield();
        --inside;
        turns.release(*ticket);
        ++done;
      }
    });
    if (crowd.looks_for_losses && rank == crowd.ranks - 2) break;
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(failed);
  EXPECT_EQ(sum, threads.size() * static_cast<std::uint64_t>(crowd.rounds));
}

TEST(turns, are_one_at_a_time_in_the_order_of_tickets) {
  for (const int ranks : {1, 2, 3, 7}) {
    SCOPED_TRACE(std::to_string(ranks) + " ranks");
    take_turns({.ranks = ranks, .rounds = rounds, .impatient_of_ten = 0, .trying_of_ten = 0});
    if (HasFailure()) return;
  }
}

TEST(turns, can_be_given_up_and_taken_back_at_any_moment) {
  for (const int ranks : {2, 3, 7}) {
    SCOPED_TRACE(std::to_string(ranks) + " ranks");
    take_turns({.ranks = ranks, .rounds = rounds, .impatient_of_ten = 9, .trying_of_ten = 1});
    if (HasFailure()) return;
  }
}

TEST(turns, of_the_living_are_not_taken_for_those_of_the_lost) {
  take_turns({.ranks = 4, .rounds = rounds, .impatient_of_ten = 1, .trying_of_ten = 1, .looks_for_losses = true});
}

// ---- ranks that die ----

/// Processes take turns; one is killed at a random moment. The others go on, or are told of that one; never do two have
/// the turn, and nobody waits for ever.
TEST(turns, go_on_or_tell_when_a_rank_is_killed) {
  constexpr int kills = is_sanitized ? 30 : 100;
  constexpr int ranks = 4;
  struct Life {
    std::atomic<std::uint64_t> steps;
    std::atomic<bool> is_lost;
  };
  struct Common {
    std::array<Life, ranks> lives;
    std::atomic<int> inside;  // rank + 1
    std::atomic<bool> stop;
  };
  enum Status { fine, was_told, was_told_wrongly, two_inside, hung };
  std::mt19937 random{20261121};
  for (int round = 0; round < kills; ++round) {
    const Line line{ranks};
    const PlainMemory memory{sizeof(Common)};
    auto& common = *reinterpret_cast<Common*>(memory.data());
    const auto is_lost = [&](int rank) { return common.lives[static_cast<std::size_t>(rank)].is_lost.load(); };
    const auto body = [&](int rank) -> int {
      Turns turns = line.turns();
      Life& mine = common.lives[static_cast<std::size_t>(rank)];
      const auto end = Clock::now() + limit;
      while (!common.stop) {
        std::optional<Turns::Ticket> ticket;
        if (mine.steps % 3 == 0) {
          ticket = turns.try_take(rank);
        } else {
          ticket = turns.take(rank);
          while (!turns.is_granted(*ticket)) {
            if (Clock::now() > end) return hung;
            if (const auto lost = turns.holder_lost(is_lost)) {
              return *lost >= 0 && *lost < ranks && is_lost(*lost) ? was_told : was_told_wrongly;
            }
            if (mine.steps % 5 == 0 && turns.give_up(rank, *ticket)) {
              ticket = std::nullopt;
              break;
            }
            std::this_thread::yield();
          }
        }
        ++mine.steps;
        if (!ticket) continue;
        int found = 0;
        // Who was killed inside has not left its name when another gets in: that one got in before the kill.
        if (!common.inside.compare_exchange_strong(found, rank + 1)) return two_inside;
        common.inside = 0;
        turns.release(*ticket);
      }
      return fine;
    };
    std::vector<pid_t> pids;
    for (int rank = 0; rank < ranks; ++rank) pids.push_back(test::start_process([&] { return body(rank); }));
    const int victim = round % ranks;
    const auto steps = [&](int rank) { return common.lives[static_cast<std::size_t>(rank)].steps.load(); };
    const auto until = std::uniform_int_distribution<std::uint64_t>{1, 300}(random);
    const auto end = Clock::now() + limit;
    while (steps(victim) < until && Clock::now() < end) std::this_thread::yield();
    EXPECT_EQ(kill(pids[static_cast<std::size_t>(victim)], SIGKILL), 0);
    EXPECT_EQ(test::wait_for_process(pids[static_cast<std::size_t>(victim)]), -SIGKILL);
    common.lives[static_cast<std::size_t>(victim)].is_lost = true;
    std::this_thread::yield();
    common.stop = true;
    for (int rank = 0; rank < ranks; ++rank) {
      if (rank == victim) continue;
      EXPECT_LE(test::wait_for_process(pids[static_cast<std::size_t>(rank)]), static_cast<int>(was_told))
          << "round " << round << ", rank " << rank << ", killed " << victim;
    }
    ASSERT_FALSE(HasFailure());
  }
}

}  // namespace
}  // namespace echelon::shared
