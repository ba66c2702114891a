#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>

namespace echelon::analysis {

inline constexpr std::size_t most_terms = 3;
using Terms = std::array<double, most_terms>;
using TermsSquared = std::array<Terms, most_terms>;

/// y = sum over the terms of coefficients * basis, with the same relative error everywhere.
struct Fit {
  Terms coefficients{};
  TermsSquared unscaled_covariance{};  ///< times the variance: that of the coefficients
  double squares = 0;                  ///< of the relative residuals
};

/// One row an observation: the basis at its place.
struct Observation {
  Terms basis{};
  double y = 0;
};

/// Minimises the sum of ((y - fitted) / y)^2. None where the terms cannot be told apart at these places.
[[nodiscard]] std::optional<Fit> fit_relative(std::span<const Observation> observations, std::size_t terms);

/// The same over non-negative coefficients: the best of all sets of terms whose own least squares are not negative,
/// which is exact (Lawson and Hanson, Solving Least Squares Problems, chapter 23) and quick for three terms.
[[nodiscard]] std::optional<Fit> fit_non_negative(std::span<const Observation> observations, std::size_t terms);

/// A linear combination of coefficients, and the variance of that in units of the residual variance.
[[nodiscard]] double combine(const Terms& coefficients, const Terms& basis) noexcept;
[[nodiscard]] double unscaled_variance(const TermsSquared& covariance, const Terms& basis) noexcept;

}  // namespace echelon::analysis
