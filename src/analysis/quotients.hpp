#pragma once

#include <algorithm>
#include <functional>
#include <vector>

namespace echelon::analysis {

/// Element by element, as of two figures of the same resamples. @pre as many denominators as numerators
inline std::vector<double> quotients(const std::vector<double>& numerators, const std::vector<double>& denominators) {
  std::vector<double> result(numerators.size());
  std::ranges::transform(numerators, denominators, result.begin(), std::divides{});
  return result;
}

}  // namespace echelon::analysis
