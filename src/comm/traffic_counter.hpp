#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <set>
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
        ranks_elsewhere_{leaders_.size() - static_cast<std::size_t>(std::ranges::count(leaders_, here_))},
        other_nodes_{std::set<int>{leaders_.begin(), leaders_.end()}.size() - 1} {}

  [[nodiscard]] const std::vector<int>& leaders() const noexcept { return leaders_; }

  void sent(int to, std::size_t bytes) noexcept {
    if (leaders_[static_cast<std::size_t>(to)] != here_) add(1, bytes);
  }
  /// To each of the other ranks what is for it alone.
  void sent_to_each(std::size_t bytes_a_rank) noexcept { add(ranks_elsewhere_, ranks_elsewhere_ * bytes_a_rank); }
  /// To all of them the same, which a node has to get but once.
  void sent_to_all(std::size_t bytes) noexcept { add(other_nodes_, other_nodes_ * bytes); }

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
  std::uint64_t ranks_elsewhere_;
  std::uint64_t other_nodes_;
  std::atomic<std::uint64_t> messages_ = 0;
  std::atomic<std::uint64_t> bytes_ = 0;
};

}  // namespace echelon::comm
