#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include <fmt/format.h>

#include <echelon/analysis/compare.hpp>
#include <echelon/analysis/speedup.hpp>
#include <echelon/base/error.hpp>

#include "sorted.hpp"

namespace echelon::analysis {
namespace {

using PointsByLayout = std::map<std::pair<std::uint64_t, std::uint64_t>, std::pair<Layout, const StudyPoint*>>;

/// By processors, then ranks.
PointsByLayout by_layout(std::span<const StudyPoint> points) {
  PointsByLayout result;
  for (const StudyPoint& point : points) {
    result.emplace(std::pair{point.ranks * point.threads, point.ranks},
                   std::pair{Layout{point.ranks, point.threads}, &point});
  }
  return result;
}

std::vector<double> valid_times_of(const StudyPoint& point) {
  std::vector<double> times_s;
  for (const StudyRun& run : point.runs) {
    if (!(run.time_s > 0) || !std::isfinite(run.time_s)) {
      throw std::invalid_argument("times must be positive and finite");
    }
    times_s.push_back(run.time_s);
  }
  return times_s;
}

/// 2 / C(n + m, n): of all ways to deal the times out, the two in which one study has all the longer ones.
double least_p_value(std::size_t n, std::size_t m) {
  double p = 2;
  for (std::size_t i = 1; i <= n; ++i) p *= static_cast<double>(i) / static_cast<double>(m + i);
  return p;
}

double p_value(const std::vector<double>& first_s, const std::vector<double>& second_s,
               const BootstrapOptions& options) {
  const std::vector<std::vector<double>> samples{second_s, first_s};  // as ratio_of_medians has them: the same draws
  const auto medians = resampled_medians(samples, options);
  std::size_t not_above = 0;
  std::size_t not_below = 0;
  for (std::size_t b = 0; b < options.resamples; ++b) {
    if (medians[0][b] <= medians[1][b]) ++not_above;
    if (medians[0][b] >= medians[1][b]) ++not_below;
  }
  const auto tail = static_cast<double>(std::min(not_above, not_below) + 1);
  const double inverted = 2 * tail / static_cast<double>(options.resamples + 1);
  return std::min(1.0, std::max(inverted, least_p_value(first_s.size(), second_s.size())));
}

PointComparison compare_point(const StudyPoint& first, const StudyPoint& second, const BootstrapOptions& options) {
  const std::vector<double> first_s = valid_times_of(first);
  const std::vector<double> second_s = valid_times_of(second);
  if (!first_s.empty() && !second_s.empty() && first.startup_counted != second.startup_counted) {
    throw base::UsageError(
        fmt::format("{}: one study has the time of the whole launch, the other one without startup; compare studies "
                    "that measured the same",
                    label(first.ranks, first.threads)));
  }
  PointComparison point{
      .ranks = first.ranks, .threads = first.threads, .first_runs = first_s.size(), .second_runs = second_s.size()};
  if (!first_s.empty()) point.first_s = median_of_sorted(sorted(first_s));
  if (!second_s.empty()) point.second_s = median_of_sorted(sorted(second_s));
  if (!first_s.empty() && !second_s.empty()) point.ratio = ratio_of_medians(second_s, first_s, options);
  if (std::min(first_s.size(), second_s.size()) >= fewest_for_interval) {
    point.p_value = p_value(first_s, second_s, options);
  }
  return point;
}

void correct_and_judge(Comparison& comparison) {
  std::vector<PointComparison*> tested;
  std::vector<double> p_values;
  for (PointComparison& point : comparison.points) {
    if (!point.p_value) continue;
    tested.push_back(&point);
    p_values.push_back(*point.p_value);
  }
  const double level = 1 - comparison.confidence;
  const auto steps = static_cast<double>(std::max<std::size_t>(tested.size(), 1));
  const auto may_show = [&](std::size_t n, std::size_t m) { return steps * least_p_value(n, m) <= level; };
  comparison.runs_for_verdict = fewest_for_interval;
  while (!may_show(comparison.runs_for_verdict, comparison.runs_for_verdict)) ++comparison.runs_for_verdict;
  // The first step of the correction takes the smallest value as often as there are points; none passes, if it does
  // not.
  const bool any_may = std::ranges::any_of(
      tested, [&](const PointComparison* point) { return may_show(point->first_runs, point->second_runs); });
  const std::vector<double> corrected = holm(p_values);
  for (std::size_t i = 0; i < tested.size(); ++i) {
    PointComparison& point = *tested[i];
    point.p_value = corrected[i];
    point.difference = !any_may                 ? Difference::too_few_runs
                       : corrected[i] > level   ? Difference::none_shown
                       : point.ratio->value < 1 ? Difference::faster
                                                : Difference::slower;
  }
}

}  // namespace

std::vector<double> holm(std::span<const double> p_values) {
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return p_values[i]; });
  std::vector<double> corrected(p_values.size());
  double largest = 0;
  for (std::size_t step = 0; step < order.size(); ++step) {
    const auto left = static_cast<double>(order.size() - step);
    largest = std::max(largest, std::min(1.0, left * p_values[order[step]]));
    corrected[order[step]] = largest;
  }
  return corrected;
}

Comparison compare(std::span<const StudyPoint> first, std::span<const StudyPoint> second,
                   const BootstrapOptions& options) {
  Comparison comparison{.confidence = options.confidence};
  const PointsByLayout firsts = by_layout(first);
  const PointsByLayout seconds = by_layout(second);
  for (const auto& [key, point] : firsts) {
    const auto other = seconds.find(key);
    if (other == seconds.end()) {
      comparison.only_first.push_back(point.first);
    } else {
      comparison.points.push_back(compare_point(*point.second, *other->second.second, options));
    }
  }
  for (const auto& [key, point] : seconds) {
    if (!firsts.contains(key)) comparison.only_second.push_back(point.first);
  }
  correct_and_judge(comparison);
  return comparison;
}

}  // namespace echelon::analysis
