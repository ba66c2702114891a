#pragma once

#include <cstddef>

namespace echelon::analysis {

/// P(Bin(n, 1/2) <= k).
[[nodiscard]] double fair_coin_cdf(std::size_t k, std::size_t n);

/// Student's t that a variable with so many degrees of freedom keeps within, in size, with this probability.
[[nodiscard]] double student_t_bound(double confidence, double degrees_of_freedom);

/// P(|Z| >= z) of the standard normal distribution.
[[nodiscard]] double normal_two_sided(double z);

}  // namespace echelon::analysis
