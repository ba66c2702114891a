#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <echelon/analysis/drift.hpp>
#include <echelon/analysis/labels.hpp>
#include <echelon/analysis/study_warnings.hpp>
#include <echelon/analysis/warnings.hpp>

namespace echelon::analysis {
namespace {

using Points = std::span<const StudyPoint>;
using Rows = std::span<const StudyRow>;

std::string oversubscribed(Points points, Rows rows) {
  const std::string which = labels(rows, [&](const StudyRow& row) { return is_oversubscribed(points[row.point]); });
  if (which.empty()) return {};
  return fmt::format(
      "oversubscribed at {}: more threads than CPUs take turns, so speedup and efficiency there are not those of so "
      "many CPUs, and models are fitted without; use a machine with more CPUs",
      which);
}

/// Scaled speedup and what follows from it suppose as much work a processor everywhere.
std::string uneven_work(Points points, Rows rows) {
  constexpr double rounding = 0.01;  // where the work is a whole number of something
  const auto work_a_processor = [&](const StudyRow& row) {
    const auto& work = points[row.point].work;
    return work ? std::optional{*work / static_cast<double>(row.processors)} : std::nullopt;
  };
  if (rows.empty()) return {};
  const auto first = work_a_processor(rows.front());
  const std::string which = labels(rows, [&](const StudyRow& row) {
    const auto here = work_a_processor(row);
    return first && here && std::abs(*here / *first - 1) > rounding;
  });
  if (which.empty()) return {};
  return fmt::format(
      "work not in proportion at {}: --weak gives another value a processor there than at {}, while speedup, "
      "efficiency, "
      "CompS and the serial fraction take the work to be in proportion to processors; unless the value is a size whose "
      "work is, make it so, as in 1e8*p",
      which, label(rows.front().ranks, rows.front().threads));
}

std::string lost_ranks(Points points, Rows rows) {
  const std::string which = labels(rows, [&](const StudyRow& row) { return has_lost_ranks(points[row.point]); });
  if (which.empty()) return {};
  return fmt::format(
      "ranks were lost at {}: the others did their work, so times there are not those of so many ranks, and models "
      "are fitted without; repeat these points",
      which);
}

std::string drifting(Points points) {
  constexpr double significant = 0.01;
  constexpr double worth_a_word = 0.01;
  std::vector<std::vector<OrderedTime>> groups;
  for (const StudyPoint& point : points) {
    std::vector<OrderedTime>& group = groups.emplace_back();
    for (const StudyRun& run : point.runs) group.push_back({run.sequence, run.time_s});
  }
  const auto found = drift(groups);
  if (!found || found->p_value > significant || std::abs(found->relative_change) < worth_a_word) return {};
  return fmt::format(
      "drift: times {} by {:.1f} % from the first run to the last (Kendall's test for a trend, p = {:.1g}), so the "
      "runs are "
      "not repetitions of the same; the machine warmed up or was shared: run the study again on a quiet machine, after "
      "a "
      "warm-up",
      found->relative_change > 0 ? "grew" : "fell", 100 * std::abs(found->relative_change), found->p_value);
}

/// Each host's seconds per work, over those of the other hosts of the same run; a value a run.
std::map<std::string, std::vector<double>> relative_paces(Points points) {
  std::map<std::string, std::vector<double>> paces;
  for (const StudyPoint& point : points) {
    for (const StudyRun& run : point.runs) {
      // A host of ranks that only hand out work has no pace.
      std::vector<HostTiming> hosts = run.hosts;
      std::erase_if(hosts, [](const HostTiming& host) { return !(host.compute_s > 0); });
      const bool items_known = std::ranges::all_of(hosts, [](const HostTiming& host) { return host.items > 0; });
      const auto pace = [&](const HostTiming& host) {
        return host.compute_s / static_cast<double>(items_known ? host.items : host.ranks);
      };
      for (const HostTiming& host : hosts) {
        std::vector<double> others;
        for (const HostTiming& other : hosts) {
          if (&other != &host) others.push_back(pace(other));
        }
        if (others.empty()) continue;
        const double relative = pace(host) / measure::median(others);
        if (std::isfinite(relative)) paces[host.host].push_back(relative);
      }
    }
  }
  return paces;
}

std::vector<std::string> slow_hosts(Points points) {
  constexpr double slow = 1.1;
  constexpr std::size_t runs_to_tell = 3;
  std::vector<std::string> found;
  for (const auto& [host, paces] : relative_paces(points)) {
    const double pace = measure::median(paces);
    if (paces.size() < runs_to_tell || pace < slow) continue;
    found.push_back(
        fmt::format("slow host {}: its ranks computed {:.0f} % longer for the same work than those of the other hosts "
                    "(median of {} "
                    "runs), and all ranks wait for the slowest; leave it out, or have it looked at",
                    host, 100 * (pace - 1), paces.size()));
  }
  return found;
}

std::string super_linear(Rows rows) {
  constexpr double clearly = 1.05;          // where there is no interval
  constexpr double beyond_rounding = 1e-9;  // where times do not vary
  const std::string which = labels(rows, [](const StudyRow& row) {
    // On fewer processors than the baseline's, an efficiency above 1 is the rule; there is no serial fraction either.
    if (!row.scaling || !row.scaling->serial_fraction) return false;
    const Estimate& efficiency = row.scaling->efficiency;
    return efficiency.interval ? efficiency.interval->lower > 1 + beyond_rounding : efficiency.value > clearly;
  });
  if (which.empty()) return {};
  return fmt::format(
      "super-linear at {}: an efficiency above 1 mostly means a slow baseline, such as one whose data do not fit its "
      "caches; "
      "say so, or take a larger baseline or problem",
      which);
}

std::string short_of_cpu(Points points, Rows rows) {
  const auto share = [&](const StudyRow& row) {
    std::vector<double> shares;
    for (const StudyRun& run : points[row.point].runs) shares.push_back(run.cpu_share.value_or(1));
    return shares.empty() || is_oversubscribed(points[row.point]) ? 1 : measure::median(shares);
  };
  const std::string which = labels(rows, [&](const StudyRow& row) { return share(row) < enough_cpu_share; });
  if (which.empty()) return {};
  const double least = share(*std::ranges::min_element(rows, {}, share));
  return fmt::format(
      "short of CPU at {}: in half of the runs a rank got {:.0f} % or less of its CPU time, so something else runs on "
      "its "
      "CPUs, and times and efficiencies are not to be relied on; measure on a quiet machine",
      which, 100 * least);
}

std::string too_short(Rows rows) {
  constexpr double short_s = 0.1;
  const std::string which =
      labels(rows, [&](const StudyRow& row) { return row.time_s && row.time_s->value < short_s; });
  if (which.empty()) return {};
  return fmt::format(
      "too short at {}: a run takes less than {} s, of which the system's jitter is a large part; give more work",
      which, short_s);
}

std::string few_repetitions(Rows rows) {
  const std::string which =
      labels(rows, [](const StudyRow& row) { return row.repetitions > 0 && row.repetitions < fewest_for_interval; });
  if (which.empty()) return {};
  return fmt::format(
      "few repetitions at {}: fewer than {} give no 95 % interval of the median, so no figure there has one; repeat "
      "more often",
      which, fewest_for_interval);
}

std::string startup_counted(Points points, Rows rows) {
  const std::string which = labels(rows, [&](const StudyRow& row) { return points[row.point].startup_counted; });
  if (which.empty()) return {};
  return fmt::format(
      "start-up counted at {}: times are those of whole launches, with the start of the ranks in them, which grows "
      "with "
      "their number; long runs make it small, and a program that writes records leaves it out",
      which);
}

std::string without_runs(Rows rows) {
  const auto without = [&](bool failed) {
    return labels(rows, [&](const StudyRow& row) { return row.repetitions == 0 && (row.failures > 0) == failed; });
  };
  std::vector<std::string> parts;
  if (const std::string which = without(true); !which.empty()) parts.push_back("no run succeeded at " + which);
  if (const std::string which = without(false); !which.empty()) parts.push_back("no measured run yet at " + which);
  return parts.empty() ? "" : fmt::format("{}: nothing is said of it", fmt::join(parts, ", and "));
}

}  // namespace

std::vector<std::string> study_warnings(Points points, Rows rows) {
  std::vector<std::string> found{without_runs(rows),           uneven_work(points, rows),  lost_ranks(points, rows),
                                 oversubscribed(points, rows), short_of_cpu(points, rows), drifting(points)};
  std::ranges::move(slow_hosts(points), std::back_inserter(found));
  for (auto&& text : {super_linear(rows), too_short(rows), few_repetitions(rows), startup_counted(points, rows)}) {
    found.push_back(text);
  }
  std::erase(found, "");
  return found;
}

}  // namespace echelon::analysis
