#include "distributions.hpp"

#include <cmath>

#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/students_t.hpp>

namespace echelon::analysis {

double fair_coin_cdf(std::size_t k, std::size_t n) {
  return boost::math::cdf(boost::math::binomial_distribution<>{static_cast<double>(n), 0.5}, static_cast<double>(k));
}

double student_t_bound(double confidence, double degrees_of_freedom) {
  const boost::math::students_t_distribution<> student{degrees_of_freedom};
  return boost::math::quantile(boost::math::complement(student, (1 - confidence) / 2));
}

double normal_two_sided(double z) { return std::erfc(std::abs(z) / std::sqrt(2.0)); }

}  // namespace echelon::analysis
