#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include <echelon/analysis/estimate.hpp>

namespace echelon::analysis {

/// Which of n sorted values bound the median, counted from 1.
struct OrderStatistics {
  std::size_t lower = 0;
  std::size_t upper = 0;
  double confidence = 0;  ///< P(lower <= Bin(n, 1/2) < upper), whatever the distribution
};

/// The narrowest symmetric pair with at least this confidence; none where even the smallest and the largest value have
/// less, as with n < 6 for 95 %. Source: David and Nagaraja, Order Statistics, 3rd ed., section 7.1.
[[nodiscard]] std::optional<OrderStatistics> median_bounds(std::size_t n, double confidence = default_confidence);

/// The median and its distribution-free interval; with an even n, the median is the mean of the middle two.
/// Coverage is exactly OrderStatistics::confidence for any continuous distribution: 96.9 % at n = 6, 97.9 % at 10, 95.7
/// % at 30, and most where n is small and steps are large: 98.4 % at 7, 99.2 % at 8, 98.8 % at 11, 98.7 % at 14. Throws
/// std::invalid_argument where there are no values or one is not finite.
[[nodiscard]] Estimate median_estimate(std::span<const double> values, double confidence = default_confidence);

}  // namespace echelon::analysis
