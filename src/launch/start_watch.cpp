#include "start_watch.hpp"

#include <algorithm>

#include <echelon/base/processes.hpp>

namespace echelon::launch {

void StartWatch::look(pid_t launcher) {
  // Several may die at once, and they do where their launcher has, which is said of that then.
  constexpr std::chrono::milliseconds others_follow{200};
  if (ranks_.have_started() || !lost_.empty()) return;
  const std::vector<int>& ended = ranks_.ended_at_start();
  if (!ended.empty()) {
    if (!first_end_) first_end_ = Clock::now();
    if (Clock::now() - *first_end_ < others_follow) return;
    lost_ = ended;
    std::ranges::sort(lost_);
  } else if (has_children_) {
    look_for_unborn(launcher);
  } else {
    look_for_missing();
  }
}

/// Rank 0 has to be there: it would say that the start is over, if the others only cannot connect.
void StartWatch::look_for_missing() {
  const std::vector<int> missing = ranks_.missing();
  const std::size_t begun = ranks_.ranks().size() - missing.size();
  if (begun > begun_) last_begin_ = Clock::now();
  begun_ = begun;
  if (missing.empty() || missing.front() == 0 || Clock::now() - last_begin_ < longest_gap_) return;
  lost_ = missing;
}

/// A rank that has neither begun nor is among the launcher's children has died, unless the launcher has yet to start
/// it. That is busy then, or waits for the last child that it has started to run the program.
void StartWatch::look_for_unborn(pid_t launcher) {
  constexpr std::chrono::milliseconds between_looks{250};
  constexpr int enough_looks = 5;
  if (Clock::now() < next_look_) return;
  next_look_ = Clock::now() + between_looks;
  const std::vector<int> unborn = ranks_.missing();
  if (unborn.empty()) return;
  const auto children = base::children(launcher);
  const bool all_have_begun = std::ranges::all_of(children, [&](pid_t child) {
    return std::ranges::find(ranks_.ranks(), child, &RankWatch::Rank::process) != ranks_.ranks().end();
  });
  seen_children_ = seen_children_ || !children.empty() || unborn.size() < ranks_.ranks().size();
  const auto now = base::activity(launcher);
  const bool is_idle = now && now->state == 'S' && now->cpu_ticks == cpu_ticks_;
  if (now) cpu_ticks_ = now->cpu_ticks;
  idle_looks_ = seen_children_ && all_have_begun && is_idle ? idle_looks_ + 1 : 0;
  if (idle_looks_ >= enough_looks) lost_ = unborn;
}

}  // namespace echelon::launch
