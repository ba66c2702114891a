#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <echelon/analysis/median.hpp>
#include <echelon/analysis/precision.hpp>

namespace echelon::analysis {
namespace {

std::size_t first_look(double confidence) {
  std::size_t n = 1;
  while (!median_bounds(n, confidence)) ++n;
  return n;
}

}  // namespace

Precision precision(std::span<const double> times_s, const PrecisionOptions& options) {
  if (!(options.target > 0) || options.most == 0 || options.check_every == 0) {
    throw std::invalid_argument("a precision, the most repetitions and the step must be positive");
  }
  if (!(options.confidence > 0 && options.confidence < 1)) throw std::invalid_argument("confidence is between 0 and 1");
  if (!std::ranges::all_of(times_s, [](double time_s) { return time_s > 0 && std::isfinite(time_s); })) {
    throw std::invalid_argument("times must be positive and finite");
  }
  const std::size_t n = times_s.size();
  const std::size_t first = first_look(options.confidence);
  const std::size_t looks = n < first ? 0 : (n - first) / options.check_every + 1;
  Precision found{.next_look = std::min(first + looks * options.check_every, options.most)};
  if (n >= first) {
    const Estimate median = median_estimate(times_s, options.confidence);
    found.relative_half_width = (median.interval->upper - median.interval->lower) / 2 / median.value;
  }
  const bool looking = n >= options.most || (n >= first && (n - first) % options.check_every == 0);
  if (looking && found.relative_half_width && *found.relative_half_width <= options.target) {
    found.verdict = Verdict::precise;
  } else if (n >= options.most) {
    found.verdict = Verdict::capped;
  }
  return found;
}

}  // namespace echelon::analysis
