#include "ending.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>

#include <fmt/format.h>
#include <sys/wait.h>

#include <echelon/base/error.hpp>

#include "rank_watch.hpp"

namespace echelon::launch {
namespace {

using base::ExitCode;

constexpr int broken = static_cast<int>(ExitCode::broken);

/// As in "ranks 1 and 3 ended before MPI had started on all ranks".
std::string why_not_started(const std::vector<int>& lost) {
  std::string text = lost.size() == 1 ? "rank " : "ranks ";
  for (std::size_t i = 0; i < lost.size(); ++i) {
    if (i > 0) text += i + 1 == lost.size() ? " and " : ", ";
    text += std::to_string(lost[i]);
  }
  return text + " ended before MPI had started on all ranks";
}

/// As in an exit status of a launcher whose rank was killed; 0 if it is none.
int signal_in(int code) {
  constexpr int of_signals = 128;
  constexpr int most = 31;  // launchers have statuses of their own above
  return code > of_signals && code <= of_signals + most ? code - of_signals : 0;
}

/// As in "rank 3 on n2".
std::string place_of(const RankWatch& ranks, int rank) {
  return fmt::format("rank {} on {}", rank, ranks.ranks()[static_cast<std::size_t>(rank)].host);
}

std::string by_signal(int signal) { return fmt::format("by signal {} ({})", signal, strsignal(signal)); }

/// By the kernel, or else by the launcher's status: it is that of the rank which ended first, or of one that the
/// launcher has ended by SIGTERM because of it.
base::Death death_of(RankWatch& ranks, int rank, int signal_of_launcher) {
  const base::Death death = ranks.death(rank);
  if (death != base::Death{} || signal_of_launcher == 0 || signal_of_launcher == SIGTERM) return death;
  return {base::Death::How::signal, signal_of_launcher};
}

/// The launcher ends the others of a rank that fails, whose status is its own.
bool is_by_launcher(const base::Death& death, int signal_of_launcher) {
  if (death.how != base::Death::How::signal) return false;
  if (death.number == SIGKILL) return signal_of_launcher == 0;
  return death.number == SIGTERM && signal_of_launcher != SIGTERM;
}

Ending without_master(RankWatch& ranks, const LauncherEnd& launcher) {
  const RankWatch::Rank& master = ranks.ranks().front();
  if (!master.has_ended) {
    return {broken, fmt::format("{} ended with status {}", launcher.name, WEXITSTATUS(launcher.status))};
  }
  if (master.exits) return {broken, "the master (rank 0) ended without telling an outcome"};
  return {broken, fmt::format("the master (rank 0) {}", base::describe(ranks.death(0)))};
}

bool is_ours(int code) {
  constexpr std::array ours{ExitCode::done, ExitCode::usage, ExitCode::tasks_failed, ExitCode::broken,
                            ExitCode::resumable};
  return std::ranges::any_of(ours, [code](ExitCode one) { return code == static_cast<int>(one); });
}

Ending of_fragile_run(RankWatch& ranks, const LauncherEnd& launcher) {
  const bool has_crashed = WIFSIGNALED(launcher.status);
  const int code = has_crashed ? broken : WEXITSTATUS(launcher.status);
  const int signal = signal_in(code);
  if (const auto rank = ranks.first_killed()) {
    const base::Death death = death_of(ranks, *rank, signal);
    if (has_crashed || !is_by_launcher(death, signal)) {
      return {broken, fmt::format("{} {}", place_of(ranks, *rank), base::describe(death))};
    }
  }
  if (signal != 0) {  // which ended a rank before it could be known
    return {broken, "a rank was killed " + by_signal(signal)};
  }
  // 1 is the status of a wrong answer, and of launchers that fail.
  if (is_ours(code) || std::ranges::any_of(ranks.ranks(), [&](const auto& rank) { return rank.exits == code; })) {
    return {code};
  }
  return {broken, fmt::format("{} ended with status {}", launcher.name, code)};
}

Ending without_outcome(const LaunchRequest& request, RankWatch& ranks, const LauncherEnd& launcher) {
  if (const auto& abort = ranks.abort()) {
    if (abort->is_explained) return {broken};
    return {broken, fmt::format("{} called MPI_Abort with {}", place_of(ranks, abort->rank), abort->status)};
  }
  if (!launcher.never_started.empty()) {
    const int signal = WIFEXITED(launcher.status) ? signal_in(WEXITSTATUS(launcher.status)) : 0;
    return {broken, why_not_started(launcher.never_started) + (signal == 0 ? "" : ' ' + by_signal(signal))};
  }
  const bool is_its_own = launcher.was_first || request.outlives_ranks;
  if (WIFSIGNALED(launcher.status) && !launcher.was_signaled && is_its_own) {
    return {broken, fmt::format("{} was killed by signal {}", launcher.name, WTERMSIG(launcher.status))};
  }
  return request.outlives_ranks ? without_master(ranks, launcher) : of_fragile_run(ranks, launcher);
}

}  // namespace

Ending ending_of(const LaunchRequest& request, RankWatch& ranks, const LauncherEnd& launcher) {
  Ending ending = ranks.outcome() ? Ending{*ranks.outcome()} : without_outcome(request, ranks, launcher);
  // A rank that says why it ends may be killed, or what it says be dropped, where others were killed at the start.
  if (ranks.outcome() == broken && ranks.killed_at_start()) ending.why = why_not_started(ranks.ended_at_start());
  if (!ranks.reasons().empty()) ending.why.clear();
  return ending;
}

}  // namespace echelon::launch
