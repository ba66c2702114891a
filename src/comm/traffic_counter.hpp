#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <echelon/base/traffic.hpp>

namespace echelon::comm {

/// What a rank has sent to ranks of other nodes; see Session::between_nodes(). By any thread.
class TrafficCounter {
 public:
  /// `leaders`: of each rank, the lowest rank of its node.
  TrafficCounter(std::vector<int> leaders, int self)
      : leaders_{std::move(leaders)},
        here_{leaders_[static_cast<std::size_t>(self)]},
        elsewhere_{static_cast<std::uint64_t>(std::ranges::count_if(leaders_, [&](int l) { return l != here_; }))} {}

  [[nodiscard]] const std::vector<int>& leaders() const noexcept { return leaders_; }

  void sent(int to, std::size_t bytes) noexcept {
    if (leaders_[static_cast<std::size_t>(to)] != here_) add(1, bytes);
  }
  /// As many bytes to each of the other ranks.
  void sent_to_all(std::size_t bytes_a_rank) noexcept {
    if (elsewhere_ > 0) add(elsewhere_, elsewhere_ * bytes_a_rank);
  }

  [[nodiscard]] base::Traffic total() const noexcept {
    return {messages_.load(std::memory_order_relaxed), bytes_.load(std::memory_order_relaxed)};
  }

 private:
  void add(std::uint64_t messages, std::uint64_t bytes) noexcept {
    messages_.fetch_add(messages, std::memory_order_relaxed);
    bytes_.fetch_add(bytes, std::memory_order_relaxed);
  }

  std::vector<int> leaders_;
  int here_;
  std::uint64_t elsewhere_;  // ranks
  std::atomic<std::uint64_t> messages_ = 0;
  std::atomic<std::uint64_t> bytes_ = 0;
};

}  // namespace echelon::comm
