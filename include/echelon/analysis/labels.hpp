#pragma once

#include <string>

#include <echelon/analysis/study_point.hpp>

namespace echelon::analysis {

/// The labels of the points, or rows, for which this holds, as in "1 rank, 2 ranks"; empty where it holds for none.
template <typename Points, typename Condition>
[[nodiscard]] std::string labels(const Points& points, Condition holds) {
  std::string text;
  for (const auto& point : points) {
    if (holds(point)) text += (text.empty() ? "" : ", ") + label(point.ranks, point.threads);
  }
  return text;
}

}  // namespace echelon::analysis
