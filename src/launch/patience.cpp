#include "patience.hpp"

#include <algorithm>
#include <csignal>

namespace echelon::launch {
namespace {

using std::chrono::seconds;

constexpr seconds after_outcome{5};
constexpr seconds after_master{10};  // ranks that have lost the master leave by then
constexpr seconds after_signal{5};   // mpirun itself gives its ranks 2 s
constexpr seconds after_insisting{5};
constexpr seconds after_rank_0{1};        // which may have ended itself, without the others
constexpr seconds after_failed_start{2};  // the launcher ends such a run itself, with the status of the rank
constexpr seconds no_time{0};

}  // namespace

int Patience::signal_now(const RunState& run, int end_signal) {
  if (!begun_) {
    const std::optional<Step> step = first(run, end_signal);
    if (!step || !next_ || step->at < next_->at) next_ = step;
  }
  if (!next_ || Clock::now() < next_->at) return 0;
  begun_ = true;
  const int now = next_->signal;
  next_ = now != SIGKILL ? std::optional{Step{SIGKILL, Clock::now() + after_signal}} : std::nullopt;
  return now;
}

/// As if all that is known of the run had happened now.
std::optional<Patience::Step> Patience::first(const RunState& run, int end_signal) {
  const auto in = [&](seconds time) { return Step{end_signal, Clock::now() + time}; };
  if (run.is_told_to_end) return Step{SIGKILL, Clock::now() + after_signal};
  // A rank 0 that was asked may take its time; one that cannot be asked does not come any more.
  if (run.requests_to_stop > std::min(run.asked_to_stop, 1)) {
    const bool can_be_asked = run.requests_to_stop == 1 || run.asked_to_stop > 0;
    if (!can_be_asked) return in(no_time);
    return in(run.line_is_left ? after_rank_0 : after_insisting);
  }
  if (run.start_failed) return in(run.outlives_ranks ? no_time : after_failed_start);
  if (run.is_aborted) return in(no_time);
  if (run.has_outcome) return in(after_outcome);
  if (run.outlives_ranks && run.master_has_ended) return in(after_master);
  return std::nullopt;
}

}  // namespace echelon::launch
