#include <cmath>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/analysis/precision.hpp>

namespace echelon::analysis {
namespace {

/// n times around 1 s whose smallest and largest are half_width away.
std::vector<double> times(std::size_t n, double half_width) {
  std::vector<double> times_s(n, 1.0);
  times_s.front() = 1 - half_width;
  times_s.back() = 1 + half_width;
  return times_s;
}

void expect(const Precision& found, Verdict verdict, std::size_t next_look) {
  EXPECT_EQ(found.verdict, verdict);
  EXPECT_EQ(found.next_look, next_look);
}

TEST(precision, below_six_runs_there_must_be_more) {
  for (std::size_t n = 0; n < 6; ++n) {
    const Precision found = precision(std::vector(n, 1.0));
    expect(found, Verdict::more, 6);
    EXPECT_FALSE(found.relative_half_width.has_value());
  }
}

// With six, the interval is from the smallest to the largest.
TEST(precision, half_width_at_the_target_is_enough) {
  const Precision found = precision(times(6, 0.02), {.target = 0.0200001});
  EXPECT_EQ(found.verdict, Verdict::precise);
  EXPECT_NEAR(*found.relative_half_width, 0.02, 1e-12);
  expect(precision(times(6, 0.021), {.target = 0.02}), Verdict::more, 11);
}

TEST(precision, is_relative) {
  std::vector<double> times_s = times(6, 0.01);
  for (double& time_s : times_s) time_s *= 1000;
  EXPECT_NEAR(*precision(times_s).relative_half_width, 0.01, 1e-12);
}

// Nine equal runs would do, but the look is at eleven.
TEST(precision, stops_only_at_its_looks) {
  expect(precision(std::vector(9, 1.0)), Verdict::more, 11);
  expect(precision(std::vector(11, 1.0)), Verdict::precise, 16);
  EXPECT_EQ(precision(std::vector(9, 1.0), {.check_every = 3}).verdict, Verdict::precise);
}

TEST(precision, cap_ends_it) {
  expect(precision(times(8, 0.5), {.most = 8}), Verdict::capped, 8);
  expect(precision(times(7, 0.5), {.most = 8}), Verdict::more, 8);
  expect(precision(std::vector(8, 1.0), {.most = 8}), Verdict::precise, 8);
  expect(precision(std::vector(3, 1.0), {.most = 3}), Verdict::capped, 3);
  expect(precision(std::vector(2, 1.0), {.most = 3}), Verdict::more, 3);
}

TEST(precision, nonsense_is_refused) {
  for (const double bad : {0.0, -1.0, std::nan("")}) {
    EXPECT_THROW(static_cast<void>(precision(std::vector{bad})), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(precision({}, {.target = bad})), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(precision({}, {.confidence = bad})), std::invalid_argument);
  }
  EXPECT_THROW(static_cast<void>(precision({}, {.confidence = 1})), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(precision({}, {.most = 0})), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(precision({}, {.check_every = 0})), std::invalid_argument);
}

}  // namespace
}  // namespace echelon::analysis
