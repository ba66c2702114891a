#include <gtest/gtest.h>

#include <echelon/measure/record.hpp>

namespace echelon::measure {
namespace {

TEST(median, of_an_odd_number_is_the_middle_one) {
  EXPECT_EQ(median({3}), 3);
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({9, 1, 8, 2, 7}), 7);
  EXPECT_EQ(median({1, 1, 100}), 1);
}

TEST(median, of_an_even_number_is_the_mean_of_the_middle_two) {
  EXPECT_EQ(median({1, 2}), 1.5);
  EXPECT_EQ(median({4, 1, 3, 2}), 2.5);
  EXPECT_EQ(median({-1, 1, 1, 100}), 1);
}

}  // namespace
}  // namespace echelon::measure
