#include <numeric>

#include <echelon/analysis/spread.hpp>

#include "sorted.hpp"

namespace echelon::analysis {
namespace {

double quantile_of_sorted(std::span<const double> values, double probability) {
  const double position = probability * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], position - static_cast<double>(below));
}

double coefficient_of_variation(std::span<const double> values) {
  if (values.size() < 2) return 0;
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return squares == 0 ? 0 : std::sqrt(squares / static_cast<double>(values.size() - 1)) / mean;
}

}  // namespace

Spread spread(std::span<const double> values) {
  const std::vector<double> ordered = sorted(values);
  Spread found{
      .minimum = ordered.front(),
      .lower_quartile = quantile_of_sorted(ordered, 0.25),
      .upper_quartile = quantile_of_sorted(ordered, 0.75),
      .maximum = ordered.back(),
      .coefficient_of_variation = coefficient_of_variation(ordered),
  };
  const double fence = 1.5 * (found.upper_quartile - found.lower_quartile);
  found.outliers = static_cast<std::size_t>(std::ranges::count_if(ordered, [&](double value) {
    return value < found.lower_quartile - fence || value > found.upper_quartile + fence;
  }));
  return found;
}

}  // namespace echelon::analysis
