#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <echelon/analysis/estimate.hpp>

namespace echelon::analysis {

struct BootstrapOptions {
  std::uint64_t seed = 1;
  std::size_t resamples = 10'000;
  double confidence = default_confidence;
};

/// For each sample the medians of its resamples, in the order of resampling: element b of every sample belongs to the
/// same joint resample. The same for every compiler: a draw is of std::mt19937_64, reduced without bias by Lemire's
/// method (ACM TOMACS 29, 2019). Throws std::invalid_argument where a sample is empty or a value is not finite.
[[nodiscard]] std::vector<std::vector<double>> resampled_medians(std::span<const std::vector<double>> samples,
                                                                 const BootstrapOptions& options = {});

/// The same for columns whose values belong together, row by row, as several figures of one run do: rows are drawn.
/// Throws as well where columns differ in length.
[[nodiscard]] std::vector<std::vector<double>> resampled_medians_by_row(std::span<const std::vector<double>> columns,
                                                                        const BootstrapOptions& options = {});

/// Efron's percentile interval. @pre not empty
[[nodiscard]] Interval percentile_interval(std::vector<double> resampled, double confidence = default_confidence);

}  // namespace echelon::analysis
