#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <echelon/comm/backoff.hpp>
#include <echelon/comm/collectives.hpp>
#include <echelon/comm/nodes.hpp>
#include <echelon/shared/value.hpp>

#include "shared/watchdog.hpp"
#include "support/mpi_session.hpp"

namespace echelon::test {

inline int self() { return session().rank(); }
inline int ranks() { return session().size(); }

/// All ranks share memory; otherwise some have a message carry what they say, and less of it will do.
inline bool is_one_node() { return comm::Nodes::of(session()).is_one(); }
inline int rounds(int on_one_node, int apart) { return is_one_node() ? on_one_node : apart; }

inline std::uint64_t sum_of(std::uint64_t mine) {
  std::uint64_t sum = 0;
  for (const std::uint64_t one : comm::all_gather(session(), mine)) sum += one;
  return sum;
}

/// Until it holds; false where that takes too long.
template <typename Condition>
[[nodiscard]] bool comes_true(Condition holds, std::chrono::seconds limit = std::chrono::seconds{30}) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (comm::Backoff backoff{true}; !holds(); backoff.pause()) {
    if (std::chrono::steady_clock::now() > end) return false;
  }
  return true;
}

/// Returns on all ranks at about the same time: who comes out of a barrier may have slept for longer than what follows
/// takes.
inline void start_together() {
  shared::Value<int> ready{session(), 0};
  ready.fetch_add(1);
  while (ready.load() < ranks()) std::this_thread::yield();
}

template <typename Body>
std::chrono::steady_clock::duration time_of(Body body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::steady_clock::now() - begin;
}

/// How many more go in where `send_for_20ms` waits for room that long: between nodes it may come later than that.
template <typename Send>
std::uint64_t sent_until_full(Send send_for_20ms) {
  for (std::uint64_t count = 0;; ++count) {
    bool sent = false;
    const auto took = time_of([&] { sent = send_for_20ms(); });
    if (sent) continue;
    EXPECT_GE(took, std::chrono::milliseconds{20});
    return count;
  }
}

/// The master computes, and looks at nothing but a word in its own memory, for as long as the others do what they must
/// be able to do without it.
template <typename Body>
void while_the_master_computes(Body others) {
  shared::Value<int> done{session(), 0};
  if (session().is_master()) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{30};
    bool in_time = true;
    while (done.load() < ranks() - 1 && in_time) in_time = std::chrono::steady_clock::now() < end;
    EXPECT_TRUE(in_time) << "the others wait for a rank that computes";
  } else {
    others();
    done.fetch_add(1);
  }
  session().barrier();
}

/// What this process holds of memory that has no other owner than open files.
inline std::uint64_t bytes_in_open_memory() {
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone);
    struct stat status {};
    if (gone || !target.starts_with("/memfd:") || stat(entry.path().c_str(), &status) != 0) continue;
    bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
  }
  return bytes;
}

inline std::size_t open_files() {
  const std::filesystem::directory_iterator files{"/proc/self/fd"};
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

}  // namespace echelon::test
