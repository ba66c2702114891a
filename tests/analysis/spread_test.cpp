#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/analysis/spread.hpp>

namespace echelon::analysis {
namespace {

// R: quantile(1:10, c(.25, .75)) is 3.25 and 7.75; sd(1:10) / mean(1:10) is 3.02765 / 5.5.
TEST(spread, agrees_with_R) {
  const Spread found = spread(std::vector{10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0});
  EXPECT_EQ(found.minimum, 1);
  EXPECT_DOUBLE_EQ(found.lower_quartile, 3.25);
  EXPECT_DOUBLE_EQ(found.upper_quartile, 7.75);
  EXPECT_EQ(found.maximum, 10);
  EXPECT_DOUBLE_EQ(found.coefficient_of_variation, std::sqrt(82.5 / 9) / 5.5);
  EXPECT_EQ(found.outliers, 0U);
}

// Quartiles 2 and 4, fences -1 and 7.
TEST(spread, values_beyond_the_fences_are_outliers) {
  EXPECT_EQ(spread(std::vector{1.0, 2.0, 3.0, 4.0, 7.0}).outliers, 0U);
  EXPECT_EQ(spread(std::vector{1.0, 2.0, 3.0, 4.0, 7.1}).outliers, 1U);
  EXPECT_EQ(spread(std::vector{-1.1, 2.0, 3.0, 4.0, 7.1}).outliers, 2U);
}

TEST(spread, one_value_and_equal_values_do_not_vary) {
  for (const std::size_t n : {1, 2, 5}) {
    const Spread found = spread(std::vector(n, 2.0));
    EXPECT_EQ(found.lower_quartile, 2);
    EXPECT_EQ(found.upper_quartile, 2);
    EXPECT_EQ(found.coefficient_of_variation, 0);
    EXPECT_EQ(found.outliers, 0U);
  }
  EXPECT_EQ(spread(std::vector(3, 0.0)).coefficient_of_variation, 0);
}

TEST(spread, nothing_and_what_is_not_finite_are_refused) {
  EXPECT_THROW(static_cast<void>(spread({})), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(spread(std::vector{1.0, std::nan("")})), std::invalid_argument);
}

}  // namespace
}  // namespace echelon::analysis
