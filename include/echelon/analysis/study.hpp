#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <echelon/analysis/models.hpp>
#include <echelon/analysis/pop.hpp>
#include <echelon/analysis/speedup.hpp>
#include <echelon/analysis/spread.hpp>
#include <echelon/analysis/study_point.hpp>

namespace echelon::analysis {

struct StudyOptions {
  Scaling scaling = Scaling::strong;
  std::optional<std::uint64_t>
      baseline_ranks;  ///< the point with the fewest threads of those; nothing: the smallest point
  std::optional<double> extrapolate_to = {};  ///< processors; nothing: twice the largest point's
  BootstrapOptions bootstrap = {};
};

/// What a study says of one point. Times and what follows from them are there where a run succeeded.
struct StudyRow {
  std::size_t point = 0;  ///< its index among the points of the study
  std::uint64_t ranks = 1;
  std::uint64_t threads = 1;
  std::uint64_t nodes = 1;
  std::uint64_t processors = 1;  ///< ranks * threads
  std::size_t repetitions = 0;
  std::uint64_t failures = 0;
  std::optional<Estimate> time_s = {};
  std::optional<Spread> spread = {};     ///< of the times
  std::optional<Speedup> scaling = {};   ///< where the baseline has times, too
  std::optional<PopFactors> pop = {};    ///< where every run of this point and of the baseline has them
  std::optional<double> startup_s = {};  ///< median, where every run has it; the same for the next two
  std::optional<double> elapsed_s = {};
  std::optional<double> cpu_percent = {};  ///< of one CPU, as time(1) has it
  std::optional<double> node_hours = {};   ///< a run: nodes * elapsed_s, or time_s where that is unknown
  std::optional<double> processor_hours = {};
};

/// What the models say at one number of processors.
struct Forecast {
  double processors = 0;
  bool measured = false;                     ///< the study has a point there
  std::vector<Prediction> predictions = {};  ///< of each model
  std::optional<Interval> envelope = {};     ///< of all models' intervals
};

struct Study {
  Scaling scaling = Scaling::strong;
  std::vector<StudyRow> rows = {};           ///< by processors, then ranks
  std::optional<std::size_t> baseline = {};  ///< a row's index; none where no run succeeded
  std::vector<Model> models = {};
  std::vector<std::optional<HoldOut>> hold_outs = {};  ///< of each model
  std::optional<std::size_t> preferred = {};           ///< a model's index
  double extrapolation_limit = 0;                      ///< processors
  std::vector<Forecast> forecasts = {};                ///< at the points, then doubling up to the limit
  std::vector<std::string> warnings = {};
};

/// The whole analysis; the same result for the same points and options. Throws base::UsageError where no point that has
/// runs has the baseline's ranks; std::invalid_argument where a time is not positive and finite, or a number is 0.
[[nodiscard]] Study analyse(std::span<const StudyPoint> points, const StudyOptions& options = {});

}  // namespace echelon::analysis
