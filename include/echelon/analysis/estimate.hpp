#pragma once

#include <optional>

namespace echelon::analysis {

inline constexpr double default_confidence = 0.95;

struct Interval {
  double lower = 0;
  double upper = 0;
  double confidence = default_confidence;  ///< that it is known to have; of the median's often more than was asked for

  [[nodiscard]] bool contains(double value) const noexcept { return lower <= value && value <= upper; }
};

/// A figure with its confidence interval, where there are data enough for one.
struct Estimate {
  double value = 0;
  std::optional<Interval> interval;
};

/// @pre factor > 0
[[nodiscard]] Estimate scaled(const Estimate& estimate, double factor) noexcept;

}  // namespace echelon::analysis
