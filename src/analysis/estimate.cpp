#include <echelon/analysis/estimate.hpp>

namespace echelon::analysis {

Estimate scaled(const Estimate& estimate, double factor) noexcept {
  Estimate result{estimate.value * factor, estimate.interval};
  if (result.interval) {
    result.interval->lower *= factor;
    result.interval->upper *= factor;
  }
  return result;
}

}  // namespace echelon::analysis
