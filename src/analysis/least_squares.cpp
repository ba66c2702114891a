#include "least_squares.hpp"

#include <cmath>
#include <vector>

namespace echelon::analysis {
namespace {

/// The terms in `chosen`, in their order.
std::vector<std::size_t> members(unsigned chosen) {
  std::vector<std::size_t> found;
  for (std::size_t term = 0; term < most_terms; ++term) {
    if ((chosen >> term & 1U) != 0) found.push_back(term);
  }
  return found;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// Of the upper triangle of the first k rows and columns.
TermsSquared inverse_of_triangle(const TermsSquared& r, std::size_t k) {
  TermsSquared inverse{};
  for (std::size_t column = 0; column < k; ++column) {
    inverse[column][column] = 1 / r[column][column];
    for (std::size_t i = column; i-- > 0;) {
      double sum = 0;
      for (std::size_t j = i + 1; j <= column; ++j) sum += r[i][j] * inverse[j][column];
      inverse[i][column] = -sum / r[i][i];
    }
  }
  return inverse;
}

/// Least squares over the given terms only, by modified Gram-Schmidt: X = Q R, coefficients = R^-1 Q' 1,
/// covariance = R^-1 R^-T. X is relative to y, so the right-hand side is all ones.
std::optional<Fit> fit_terms(std::span<const Observation> observations, const std::vector<std::size_t>& terms) {
  constexpr double dependent = 1e-10;
  const std::size_t k = terms.size();
  std::vector<std::vector<double>> columns(k);
  for (std::size_t j = 0; j < k; ++j) {
    for (const Observation& one : observations) columns[j].push_back(one.basis[terms[j]] / one.y);
  }
  std::vector<double> residuals(observations.size(), 1.0);
  TermsSquared r{};
  Terms projected{};
  for (std::size_t j = 0; j < k; ++j) {
    const double length = std::sqrt(dot(columns[j], columns[j]));
    for (std::size_t i = 0; i < j; ++i) {
      r[i][j] = dot(columns[i], columns[j]);
      for (std::size_t row = 0; row < residuals.size(); ++row) columns[j][row] -= r[i][j] * columns[i][row];
    }
    r[j][j] = std::sqrt(dot(columns[j], columns[j]));
    if (!(r[j][j] > dependent * length)) return std::nullopt;
    for (double& value : columns[j]) value /= r[j][j];
    projected[j] = dot(columns[j], residuals);
    for (std::size_t row = 0; row < residuals.size(); ++row) residuals[row] -= projected[j] * columns[j][row];
  }
  const TermsSquared inverse = inverse_of_triangle(r, k);
  Fit fit{.squares = dot(residuals, residuals)};
  for (std::size_t i = 0; i < k; ++i) {
    for (std::size_t j = 0; j < k; ++j) {
      fit.coefficients[terms[i]] += inverse[i][j] * projected[j];
      for (std::size_t m = 0; m < k; ++m) {
        fit.unscaled_covariance[terms[i]][terms[j]] += inverse[i][m] * inverse[j][m];
      }
    }
  }
  return fit;
}

}  // namespace

std::optional<Fit> fit_relative(std::span<const Observation> observations, std::size_t terms) {
  if (observations.size() < terms) return std::nullopt;
  return fit_terms(observations, members((1U << terms) - 1));
}

std::optional<Fit> fit_non_negative(std::span<const Observation> observations, std::size_t terms) {
  std::optional<Fit> best;
  if (observations.size() < terms) return best;
  for (unsigned chosen = 1; chosen < 1U << terms; ++chosen) {
    const auto fit = fit_terms(observations, members(chosen));
    if (!fit) continue;
    bool negative = false;
    for (const double coefficient : fit->coefficients) negative = negative || coefficient < 0;
    if (!negative && (!best || fit->squares < best->squares)) best = fit;
  }
  return best;
}

double combine(const Terms& coefficients, const Terms& basis) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < most_terms; ++i) sum += coefficients[i] * basis[i];
  return sum;
}

double unscaled_variance(const TermsSquared& covariance, const Terms& basis) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < most_terms; ++i) sum += basis[i] * combine(covariance[i], basis);
  return sum;
}

}  // namespace echelon::analysis
