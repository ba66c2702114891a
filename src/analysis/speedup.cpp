#include <echelon/analysis/karp_flatt.hpp>
#include <echelon/analysis/speedup.hpp>

#include "quotients.hpp"
#include "sorted.hpp"

namespace echelon::analysis {
namespace {

void check(std::span<const double> times_s) {
  for (const double time_s : times_s) {
    if (!(time_s > 0) || !std::isfinite(time_s)) throw std::invalid_argument("times must be positive and finite");
  }
}

/// Of a figure that falls where `estimate` rises.
template <typename Function>
Estimate falling(const Estimate& estimate, Function function) {
  Estimate result{function(estimate.value), std::nullopt};
  if (const auto& of = estimate.interval) result.interval = {function(of->upper), function(of->lower), of->confidence};
  return result;
}

Speedup of_ratio(const Estimate& time_ratio, double q, Scaling scaling) {
  Speedup result;
  result.speedup = scaled(time_ratio, scaling == Scaling::strong ? 1 : q);
  result.efficiency = scaled(time_ratio, scaling == Scaling::strong ? 1 / q : 1);
  if (q > 1) {
    result.serial_fraction = falling(result.speedup, [&](double speedup) {
      return scaling == Scaling::strong ? karp_flatt(speedup, q) : gustafson_serial_fraction(speedup, q);
    });
  }
  return result;
}

bool enough(const std::vector<double>& values) { return values.size() >= fewest_for_interval; }

}  // namespace

std::vector<Speedup> speedups(std::span<const Sample> samples, std::size_t baseline, Scaling scaling,
                              const BootstrapOptions& options) {
  std::vector<std::vector<double>> times;
  for (const Sample& sample : samples) {
    check(sample.times_s);
    times.push_back(sample.times_s);
  }
  const auto resampled = resampled_medians(times, options);
  const double base_s = median_of_sorted(sorted(times[baseline]));
  std::vector<Speedup> result;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    Estimate time_ratio{base_s / median_of_sorted(sorted(times[i])), std::nullopt};
    if (i != baseline && enough(times[i]) && enough(times[baseline])) {
      time_ratio.interval = percentile_interval(quotients(resampled[baseline], resampled[i]), options.confidence);
    }
    result.push_back(of_ratio(time_ratio, samples[i].processors / samples[baseline].processors, scaling));
  }
  return result;
}

Estimate ratio_of_medians(const std::vector<double>& numerator, const std::vector<double>& denominator,
                          const BootstrapOptions& options) {
  const std::vector<Sample> samples{{1, numerator}, {1, denominator}};
  return speedups(samples, 0, Scaling::strong, options)[1].speedup;
}

}  // namespace echelon::analysis
