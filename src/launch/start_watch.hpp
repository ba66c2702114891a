#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include <sys/types.h>

#include "rank_watch.hpp"

namespace echelon::launch {

/// Sees a run that cannot start any more, since a rank has died for which all others wait within MPI's start: by the
/// ranks' connections, and for a rank that died before it had one by the children of its launcher, or, if they are
/// elsewhere, by how long it has been missing.
class StartWatch {
 public:
  /// `has_children`: the ranks are children of the launcher, and all here.
  StartWatch(const RankWatch& ranks, bool has_children, std::chrono::milliseconds longest_gap = default_gap)
      : ranks_{ranks}, has_children_{has_children}, longest_gap_{longest_gap} {}

  /// To be called again and again while the launcher, that process, lives.
  void look(pid_t launcher);
  /// The ranks that have died; none while there is hope.
  [[nodiscard]] const std::vector<int>& lost() const noexcept { return lost_; }

 private:
  using Clock = std::chrono::steady_clock;
  /// Between the begins of two ranks on different nodes, on machines where everything is slow.
  static constexpr std::chrono::minutes default_gap{2};

  void look_for_missing();
  void look_for_unborn(pid_t launcher);

  const RankWatch& ranks_;
  bool has_children_;
  std::chrono::milliseconds longest_gap_;
  std::vector<int> lost_;
  std::optional<Clock::time_point> first_end_;
  std::size_t begun_ = 0;  // ranks
  Clock::time_point last_begin_{};
  Clock::time_point next_look_{};
  bool seen_children_ = false;
  std::uint64_t cpu_ticks_ = 0;
  int idle_looks_ = 0;
};

}  // namespace echelon::launch
