#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <tuple>

#include <fmt/format.h>

#include <echelon/analysis/median.hpp>
#include <echelon/analysis/study.hpp>
#include <echelon/analysis/study_warnings.hpp>
#include <echelon/base/error.hpp>

namespace echelon::analysis {
namespace {

std::vector<double> times_of(const StudyPoint& point) {
  std::vector<double> times_s;
  for (const StudyRun& run : point.runs) times_s.push_back(run.time_s);
  return times_s;
}

/// The values where every run has one, otherwise nothing.
template <typename T>
std::vector<T> values_of(const StudyPoint& point, std::optional<T> StudyRun::*member) {
  std::vector<T> values;
  for (const StudyRun& run : point.runs) {
    if (!(run.*member)) return {};
    values.push_back(*(run.*member));
  }
  return values;
}

std::optional<double> median_of(const StudyPoint& point, std::optional<double> StudyRun::*member) {
  const auto values = values_of(point, member);
  return values.empty() ? std::nullopt : std::optional{measure::median(values)};
}

std::optional<double> cpu_percent_of(const StudyPoint& point) {
  std::vector<double> percents;
  for (const StudyRun& run : point.runs) {
    if (!run.cpu_s || !run.elapsed_s || !(*run.elapsed_s > 0)) return std::nullopt;
    percents.push_back(100 * *run.cpu_s / *run.elapsed_s);
  }
  return percents.empty() ? std::nullopt : std::optional{measure::median(percents)};
}

StudyRow row_of(const StudyPoint& point, std::size_t index, double confidence) {
  if (point.ranks == 0 || point.threads == 0) throw std::invalid_argument("a point of a study has ranks and threads");
  StudyRow row{
      .point = index,
      .ranks = point.ranks,
      .threads = point.threads,
      .nodes = point.nodes,
      .processors = point.ranks * point.threads,
      .repetitions = point.runs.size(),
      .failures = point.failures,
  };
  if (point.runs.empty()) return row;
  const std::vector<double> times_s = times_of(point);
  row.time_s = median_estimate(times_s, confidence);
  row.spread = spread(times_s);
  row.startup_s = median_of(point, &StudyRun::startup_s);
  row.elapsed_s = median_of(point, &StudyRun::elapsed_s);
  row.cpu_percent = cpu_percent_of(point);
  const double hours = row.elapsed_s.value_or(row.time_s->value) / 3600;
  row.node_hours = static_cast<double>(point.nodes) * hours;
  row.processor_hours = static_cast<double>(row.processors) * hours;
  return row;
}

/// The baseline among the rows, which are sorted.
std::optional<std::size_t> find_baseline(const std::vector<StudyRow>& rows, const StudyOptions& options) {
  const auto found = std::ranges::find_if(
      rows, [&](const StudyRow& row) { return row.time_s && row.ranks == options.baseline_ranks.value_or(row.ranks); });
  if (found != rows.end()) return static_cast<std::size_t>(found - rows.begin());
  if (options.baseline_ranks) {
    throw base::UsageError(fmt::format("--baseline {}: the study has no run with {}; name one of its points",
                                       *options.baseline_ranks, label(*options.baseline_ranks, 1)));
  }
  return std::nullopt;
}

void add_speedups(Study& study, std::span<const StudyPoint> points, const BootstrapOptions& bootstrap) {
  std::vector<Sample> samples;
  std::vector<StudyRow*> sampled;
  std::size_t baseline = 0;
  for (std::size_t i = 0; i < study.rows.size(); ++i) {
    StudyRow& row = study.rows[i];
    if (!row.time_s) continue;
    if (i == *study.baseline) baseline = samples.size();
    samples.push_back({static_cast<double>(row.processors), times_of(points[row.point])});
    sampled.push_back(&row);
  }
  const auto found = speedups(samples, baseline, study.scaling, bootstrap);
  for (std::size_t i = 0; i < sampled.size(); ++i) sampled[i]->scaling = found[i];
}

void add_pop(Study& study, std::span<const StudyPoint> points, const BootstrapOptions& bootstrap) {
  const auto runs_of = [&](const StudyRow& row) { return values_of(points[row.point], &StudyRun::pop); };
  const auto usable = [](std::span<const PopRun> runs) {
    return !runs.empty() && std::ranges::all_of(runs, [&](const PopRun& run) {
      return run.useful_s > 0 && run.elapsed_s > 0 && run.processors == runs.front().processors;
    });
  };
  const StudyRow& base = study.rows[*study.baseline];
  const std::vector<PopRun> baseline = runs_of(base);
  if (!usable(baseline)) return;
  for (StudyRow& row : study.rows) {
    const std::vector<PopRun> runs = &row == &base ? std::vector<PopRun>{} : runs_of(row);
    const std::span<const PopRun> used = &row == &base ? baseline : runs;
    if (!usable(used)) continue;
    const double more = static_cast<double>(row.processors) / static_cast<double>(base.processors);
    row.pop = pop_factors(used, baseline, study.scaling, more, bootstrap);
  }
}

void add_forecasts(Study& study, std::span<const ModelPoint> measured) {
  const auto add = [&](double processors, bool is_measured) {
    Forecast forecast{processors, is_measured, {}, envelope(study.models, processors)};
    for (const Model& model : study.models) forecast.predictions.push_back(model.predict(processors));
    study.forecasts.push_back(std::move(forecast));
  };
  double largest = 0;
  for (const ModelPoint& point : measured) {
    if (point.processors == largest) continue;
    add(point.processors, true);
    largest = point.processors;
  }
  while (largest < study.extrapolation_limit) {
    largest = std::min(2 * largest, study.extrapolation_limit);
    add(largest, false);
  }
}

/// Of points whose threads have a CPU each, and all of them: otherwise time is not a function of their number.
void add_models(Study& study, std::span<const StudyPoint> points, const StudyOptions& options) {
  std::vector<ModelPoint> medians;
  for (const StudyRow& row : study.rows) {
    if (!row.time_s || is_oversubscribed(points[row.point]) || has_lost_ranks(points[row.point])) continue;
    medians.push_back({static_cast<double>(row.processors), row.time_s->value});
  }
  if (medians.empty()) return;
  constexpr double beyond = 2;  // where a wrong model of few points still shows; scaling.md 4.4
  study.extrapolation_limit = options.extrapolate_to.value_or(beyond * medians.back().processors);
  study.models = fit_models(medians, study.scaling, options.bootstrap.confidence);
  for (const Model& model : study.models) {
    study.hold_outs.push_back(hold_out(model.kind(), medians, options.bootstrap.confidence));
  }
  study.preferred = preferred(study.models);
  if (!study.models.empty()) add_forecasts(study, medians);
}

}  // namespace

Study analyse(std::span<const StudyPoint> points, const StudyOptions& options) {
  if (options.extrapolate_to && !(std::isfinite(*options.extrapolate_to) && *options.extrapolate_to > 0)) {
    throw std::invalid_argument("extrapolation needs a positive number of processors");
  }
  Study study{.scaling = options.scaling};
  for (std::size_t i = 0; i < points.size(); ++i) {
    study.rows.push_back(row_of(points[i], i, options.bootstrap.confidence));
  }
  std::ranges::stable_sort(study.rows, {}, [](const StudyRow& row) { return std::pair{row.processors, row.ranks}; });
  study.baseline = find_baseline(study.rows, options);
  if (study.baseline) {
    add_speedups(study, points, options.bootstrap);
    add_pop(study, points, options.bootstrap);
    add_models(study, points, options);
  }
  study.warnings = study_warnings(points, study.rows);
  return study;
}

}  // namespace echelon::analysis
