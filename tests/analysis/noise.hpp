#pragma once

#include <cmath>
#include <numbers>
#include <random>
#include <vector>

/// The noise of times that simulated studies have; the same for every compiler but for the last bits of log and cos.
namespace echelon::analysis {

#ifdef __SANITIZE_ADDRESS__
inline constexpr int simulated_studies = 200;
#else
inline constexpr int simulated_studies = 2000;
#endif

class Noise {
 public:
  enum class Kind { lognormal, stragglers };

  Noise(Kind kind, double variation, std::uint64_t seed) : kind_{kind}, variation_{variation}, generator_{seed} {}

  /// A time whose median is median_s: log-normal, or normal with one in ten up to 30 % longer.
  double time_s(double median_s) {
    if (kind_ == Kind::lognormal) return median_s * std::exp(variation_ * normal());
    const double core = 1 + variation_ * normal();
    const bool straggles = uniform() < 0.1;
    return median_s * (core + (straggles ? 0.3 * uniform() : 0));
  }

  std::vector<double> times_s(double median_s, std::size_t n) {
    std::vector<double> times(n);
    for (double& time : times) time = time_s(median_s);
    return times;
  }

 private:
  double uniform() { return static_cast<double>(generator_() >> 11) * 0x1p-53; }
  /// Box and Muller.
  double normal() { return std::sqrt(-2 * std::log(1 - uniform())) * std::cos(2 * std::numbers::pi * uniform()); }

  Kind kind_;
  double variation_;
  std::mt19937_64 generator_;
};

/// Of how many simulated studies the interval held the truth.
template <typename Study>
double coverage(Study holds, int studies = simulated_studies) {
  int held = 0;
  for (int i = 0; i < studies; ++i) held += holds() ? 1 : 0;
  return static_cast<double>(held) / studies;
}

}  // namespace echelon::analysis
