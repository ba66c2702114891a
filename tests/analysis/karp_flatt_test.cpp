#include <gtest/gtest.h>

#include <echelon/analysis/karp_flatt.hpp>

namespace echelon::analysis {
namespace {

struct Row {
  double p;
  double speedup;
  double serial_fraction;
};

// Quinn, Parallel Programming in C with MPI and OpenMP, 2004, section 7.5: the first is all serial part, the second
// overhead.
constexpr Row serial_part[] = {{2, 1.82, 0.10}, {3, 2.50, 0.10}, {4, 3.08, 0.10}, {5, 3.57, 0.10},
                               {6, 4.00, 0.10}, {7, 4.38, 0.10}, {8, 4.71, 0.10}};
constexpr Row overhead[] = {{2, 1.87, 0.070}, {3, 2.61, 0.075}, {4, 3.23, 0.080}, {5, 3.73, 0.085},
                            {6, 4.14, 0.090}, {7, 4.46, 0.095}, {8, 4.71, 0.100}};

TEST(karp_flatt, agrees_with_published_tables) {
  for (const Row& row : serial_part) EXPECT_NEAR(karp_flatt(row.speedup, row.p), row.serial_fraction, 0.0015) << row.p;
  for (const Row& row : overhead) EXPECT_NEAR(karp_flatt(row.speedup, row.p), row.serial_fraction, 0.0015) << row.p;
}

TEST(karp_flatt, inverts_amdahl) {
  for (const double s : {0.0, 0.01, 0.5, 1.0}) {
    for (const double p : {1.5, 2.0, 1024.0}) EXPECT_NEAR(karp_flatt(1 / (s + (1 - s) / p), p), s, 1e-12);
  }
}

TEST(karp_flatt, of_super_linear_speedup_is_negative) { EXPECT_LT(karp_flatt(4.4, 4), 0); }

// Gustafson, CACM 31(5), 1988: 1,021, 1,020 and 1,016 on 1,024 processors; (1024 - S) / 1023 by hand.
TEST(gustafson, agrees_with_hand_computation) {
  EXPECT_NEAR(gustafson_serial_fraction(1021, 1024), 0.00293, 0.000005);
  EXPECT_NEAR(gustafson_serial_fraction(1020, 1024), 0.00391, 0.000005);
  EXPECT_NEAR(gustafson_serial_fraction(1016, 1024), 0.00782, 0.000005);
  EXPECT_DOUBLE_EQ(gustafson_scaled_speedup(0.1, 11), 10);
  EXPECT_DOUBLE_EQ(gustafson_serial_fraction(gustafson_scaled_speedup(0.25, 64), 64), 0.25);
}

}  // namespace
}  // namespace echelon::analysis
