#include <limits>
#include <random>

#include <echelon/analysis/bootstrap.hpp>

#include "sorted.hpp"

namespace echelon::analysis {
namespace {

class Draws {
 public:
  explicit Draws(std::uint64_t seed) : generator_{seed} {}

  std::uint32_t below(std::uint32_t bound) {
    std::uint64_t product = upper_half() * bound;
    if (static_cast<std::uint32_t>(product) < bound) {
      const std::uint32_t biased = -bound % bound;
      while (static_cast<std::uint32_t>(product) < biased) product = upper_half() * bound;
    }
    return static_cast<std::uint32_t>(product >> 32);
  }

 private:
  std::uint64_t upper_half() { return generator_() >> 32; }

  std::mt19937_64 generator_;
};

/// The median of as many draws, with replacement, as there are values. These are sorted, so counting how often each was
/// drawn is enough, and no branch depends on the draws but the end of two scans.
double resampled_median(std::span<const double> ordered, std::vector<std::uint32_t>& drawn, Draws& draws) {
  const auto n = static_cast<std::uint32_t>(ordered.size());
  drawn.assign(n, 0);
  for (std::uint32_t i = 0; i < n; ++i) ++drawn[draws.below(n)];
  std::size_t rank = 0;
  std::uint32_t seen = drawn[0];
  const auto advance_to = [&](std::uint32_t position) {
    while (seen <= position) seen += drawn[++rank];
    return ordered[rank];
  };
  if (n % 2 != 0) return advance_to(n / 2);
  const double below = advance_to(n / 2 - 1);
  return (below + advance_to(n / 2)) / 2;
}

}  // namespace

std::vector<std::vector<double>> resampled_medians(std::span<const std::vector<double>> samples,
                                                   const BootstrapOptions& options) {
  std::vector<std::vector<double>> ordered;
  for (const auto& sample : samples) {
    ordered.push_back(sorted(sample));
    if (sample.size() > std::numeric_limits<std::uint32_t>::max()) throw std::invalid_argument("too many values");
  }
  std::vector<std::vector<double>> medians(samples.size(), std::vector<double>(options.resamples));
  Draws draws{options.seed};
  std::vector<std::uint32_t> drawn;
  for (std::size_t b = 0; b < options.resamples; ++b) {
    for (std::size_t s = 0; s < ordered.size(); ++s) medians[s][b] = resampled_median(ordered[s], drawn, draws);
  }
  return medians;
}

Interval percentile_interval(std::vector<double> resampled, double confidence) {
  // The k-th from either end, k = (B + 1) alpha / 2; Davison and Hinkley, Bootstrap Methods, section 5.2.
  const double wanted = static_cast<double>(resampled.size() + 1) * (1 - confidence) / 2;
  // Rounded, as 10001 * 0.05 / 2 must not become 249 by a last bit.
  const auto tail = static_cast<std::ptrdiff_t>(std::max(std::floor(wanted + 1e-9), 1.0)) - 1;
  const auto lower = resampled.begin() + tail;
  std::ranges::nth_element(resampled, lower);
  const double lower_value = *lower;
  const auto upper = resampled.end() - 1 - tail;
  std::ranges::nth_element(resampled, upper);
  return {lower_value, *upper, confidence};
}

}  // namespace echelon::analysis
