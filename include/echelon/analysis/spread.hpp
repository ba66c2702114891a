#pragma once

#include <cstddef>
#include <span>

namespace echelon::analysis {

/// How values scatter.
struct Spread {
  double minimum = 0;
  double lower_quartile = 0;
  double upper_quartile = 0;
  double maximum = 0;
  double coefficient_of_variation = 0;  ///< standard deviation (n - 1) over mean; 0 of one value
  std::size_t outliers = 0;             ///< beyond the quartiles by more than 1.5 interquartile ranges; Tukey 1977
};

/// Quartiles interpolate linearly between order statistics: type 7 of Hyndman and Fan, The American Statistician 50
/// (1996), which R and NumPy use. Throws std::invalid_argument where there are no values or one is not finite.
[[nodiscard]] Spread spread(std::span<const double> values);

}  // namespace echelon::analysis
