#pragma once

namespace echelon::analysis {

/// The experimentally determined serial fraction, e = (1/S - 1/p) / (1 - 1/p), of speedup S on p times the processors.
/// Flat over p: a serial part. Rising: overhead. Negative: super-linear. Source: Karp and Flatt, CACM 33(5), 1990.
/// @pre speedup > 0, p > 1
[[nodiscard]] constexpr double karp_flatt(double speedup, double p) noexcept {
  return (1 / speedup - 1 / p) / (1 - 1 / p);
}

/// The serial fraction of the parallel run, s = (p - S) / (p - 1), of scaled speedup S with p times the work on p times
/// the processors. Source: Gustafson, CACM 31(5), 1988. @pre p > 1
[[nodiscard]] constexpr double gustafson_serial_fraction(double scaled_speedup, double p) noexcept {
  return (p - scaled_speedup) / (p - 1);
}

/// S = p - s (p - 1).
[[nodiscard]] constexpr double gustafson_scaled_speedup(double serial_fraction, double p) noexcept {
  return p - serial_fraction * (p - 1);
}

}  // namespace echelon::analysis
