// Workers that are killed or stopped at random moments while long arguments and results are on their way.
// ECHELON_KILLS=200 plays so many histories, ECHELON_KILLS_SEED=N those that were played before.
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

using namespace std::chrono_literals;

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

struct History {
  int workers;
  std::uint64_t tasks;
  std::uint64_t most_bytes;
  bool between_nodes;  ///< as if each rank had a node of its own
  struct Loss {
    int rank;
    int signal;
    int delay_ms;
  };
  std::vector<Loss> losses;
};

History make_history(std::mt19937_64& random) {
  const auto from_to = [&](int from, int to) { return std::uniform_int_distribution<>{from, to}(random); };
  History history{
      .workers = from_to(1, 4), .tasks = 0, .most_bytes = 0, .between_nodes = from_to(0, 1) == 1, .losses = {}};
  const int exponent = from_to(0, 26);
  history.most_bytes = std::uint64_t{1} << exponent;
  history.tasks = exponent < 20 ? 2000 : static_cast<std::uint64_t>(from_to(10, 60));
  for (int i = from_to(1, history.workers); i > 0; --i) {
    history.losses.push_back({from_to(1, history.workers), from_to(0, 4) == 0 ? SIGSTOP : SIGKILL, from_to(0, 400)});
  }
  std::ranges::sort(history.losses, {}, &History::Loss::delay_ms);
  return history;
}

TEST(payloads, are_there_once_and_right_whichever_workers_are_lost) {
  const std::uint64_t seed = number_from("ECHELON_KILLS_SEED", 20261128);
  const std::uint64_t histories = number_from("ECHELON_KILLS", 6);
  for (std::uint64_t i = 0; i < histories && !testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE("ECHELON_KILLS_SEED=" + std::to_string(seed + i));
    std::mt19937_64 random{seed + i};
    const History history = make_history(random);
    const TemporaryFolder folder;
    RunningProgram running{{ECHELON_PAYLOADS, "-n", std::to_string(history.workers + 1), std::to_string(history.tasks),
                            std::to_string(history.most_bytes), std::to_string(seed + i)},
                           alone({.environment = {{"ECHELON_HEARTBEAT_S", "3"},
                                                  {"ECHELON_RANKS_A_NODE", history.between_nodes ? "1" : "100"}},
                                  .folder = folder.path(),
                                  .limit = 240s})};
    EXPECT_TRUE(wait_until([&] { return std::filesystem::exists(folder.path() / "begun"); }, 120s));
    const auto ranks = ranks_of(running);
    int passed_ms = 0;
    for (const auto& loss : history.losses) {
      poll(nullptr, 0, loss.delay_ms - passed_ms);  // a random moment, not a condition
      passed_ms = loss.delay_ms;
      if (ranks.contains(loss.rank)) kill(ranks.at(loss.rank), loss.signal);
    }
    const Outcome outcome = running.wait();
    EXPECT_EQ(outcome.exit_code, 0) << outcome;
    EXPECT_EQ(outcome.out, std::to_string(history.tasks) + " of " + std::to_string(history.tasks) + " once, 0 wrong\n")
        << outcome;
  }
  expect_nothing_left();
}

}  // namespace
}  // namespace echelon::test
