#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/analysis/models.hpp>

namespace echelon::analysis {
namespace {

using enum ModelKind;
using testing::IsEmpty;
using testing::SizeIs;

template <typename Time>
std::vector<ModelPoint> curve(std::vector<double> processors, Time time_s) {
  std::vector<ModelPoint> points;
  for (const double p : processors) points.push_back({p, time_s(p)});
  return points;
}

std::vector<ModelPoint> doubling(double most, double (*time_s)(double)) {
  std::vector<double> processors;
  for (double p = 1; p <= most; p *= 2) processors.push_back(p);
  return curve(processors, time_s);
}

double amdahl_s(double p) { return 100 * (0.05 + 0.95 / p); }
double usl_s(double p) { return 100 * (1 + 0.03 * (p - 1) + 0.001 * p * (p - 1)) / p; }
double logarithmic_s(double p) { return 100 * (0.02 + 0.98 / p + 0.01 * std::log2(p)); }
double gustafson_s(double p) { return 100 * p / (p - 0.1 * (p - 1)); }

/// Throughput by load of the SPEC SDM91 benchmark: Gunther, Guerrilla Capacity Planning, and the R package usl.
std::vector<ModelPoint> spec_sdm91() {
  return {{1, 1 / 64.9},     {18, 1 / 995.9},   {36, 1 / 1652.4}, {72, 1 / 1853.2},
          {108, 1 / 1828.9}, {144, 1 / 1775.0}, {216, 1 / 1702.2}};
}

void expect_coefficient(const Coefficient& found, std::string_view symbol, double value) {
  EXPECT_EQ(found.symbol, symbol);
  EXPECT_NEAR(found.value, value, 1e-9 * value);
}

TEST(models, coefficients_of_exact_curves_are_found) {
  const auto amdahl_fit = Model::fit(amdahl, doubling(64, amdahl_s));
  ASSERT_THAT(amdahl_fit->coefficients(), SizeIs(1));
  expect_coefficient(amdahl_fit->coefficients()[0], "s", 0.05);
  const auto usl_fit = Model::fit(universal_scalability, doubling(64, usl_s));
  expect_coefficient(usl_fit->coefficients()[0], "alpha", 0.03);
  expect_coefficient(usl_fit->coefficients()[1], "beta", 0.001);
  const auto logarithmic_fit = Model::fit(logarithmic_overhead, doubling(64, logarithmic_s));
  expect_coefficient(logarithmic_fit->coefficients()[0], "s", 0.02);
  expect_coefficient(logarithmic_fit->coefficients()[1], "delta", 0.01);
  const auto gustafson_fit = Model::fit(gustafson, doubling(64, gustafson_s));
  expect_coefficient(gustafson_fit->coefficients()[0], "s", 0.1);
  EXPECT_NEAR(amdahl_fit->predict(256).time_s, amdahl_s(256), 1e-9);
  EXPECT_NEAR(usl_fit->predict(256).time_s, usl_s(256), 1e-9);
  EXPECT_NEAR(logarithmic_fit->predict(256).time_s, logarithmic_s(256), 1e-9);
  EXPECT_NEAR(gustafson_fit->predict(256).time_s, gustafson_s(256), 1e-9);
}

// With the coefficients that usl 2.0 finds for SPEC SDM91 (its tests/usl-nlxb.Rout.save), the peak is at 97.
TEST(models, usl_of_published_coefficients_has_the_published_peak) {
  const auto time_s = [](double p) { return (1 + 0.0277285 * (p - 1) + 0.0001044 * p * (p - 1)) / (89.995233 * p); };
  const auto model = Model::fit(universal_scalability, curve({1, 18, 36, 72, 108, 144, 216}, time_s));
  expect_coefficient(model->coefficients()[0], "alpha", 0.0277285);
  expect_coefficient(model->coefficients()[1], "beta", 0.0001044);
  EXPECT_NEAR(*model->peak_processors(), 97, 0.6);
  EXPECT_NEAR(1 / model->predict(18).time_s, 1078, 0.5);  // its tests/fitted.Rout.save
  EXPECT_NEAR(1 / model->predict(216).time_s, 1646, 0.5);
}

// The expected values are NumPy's, of the same weighted least squares by its solver. usl's own, which weigh
// differently, are within one of its standard errors (0.00912) of alpha, two of beta, and 5 % of the peak.
TEST(models, usl_of_measured_data_agrees_with_numpy) {
  const auto model = Model::fit(universal_scalability, spec_sdm91());
  const Coefficient& alpha = model->coefficients()[0];
  const Coefficient& beta = model->coefficients()[1];
  constexpr double t = 2.7764451;  // Student's, 97.5 %, 4 degrees of freedom
  expect_coefficient(alpha, "alpha", 0.013361254590649818);
  expect_coefficient(beta, "beta", 0.00011520259846976551);
  EXPECT_NEAR(*alpha.standard_error, 0.004137243143527881, 1e-10);
  EXPECT_NEAR(*beta.standard_error, 2.0833863014053275e-05, 1e-12);
  EXPECT_NEAR(alpha.interval->lower, alpha.value - t * *alpha.standard_error, 1e-9);
  EXPECT_NEAR(alpha.interval->upper, alpha.value + t * *alpha.standard_error, 1e-9);
  EXPECT_EQ(model->degrees_of_freedom(), 4U);
  EXPECT_NEAR(model->relative_residual(), 0.07540525422116211, 1e-10);
  EXPECT_NEAR(*model->aicc(), -12.10560706, 1e-6);
  EXPECT_NEAR(*model->peak_processors(), 92.54393153130361, 1e-7);
  const Prediction prediction = model->predict(432);
  EXPECT_NEAR(prediction.time_s, 0.0009579927365695631, 1e-12);
  EXPECT_NEAR(prediction.interval->lower, prediction.time_s - t * 0.00012876015919238132, 1e-10);
  EXPECT_NEAR(prediction.interval->upper, prediction.time_s + t * 0.00012876015919238132, 1e-10);
}

// Unbounded, NumPy finds s = -0.0302 here; without it, two coefficients are left.
TEST(models, coefficients_are_not_negative) {
  const auto model = Model::fit(logarithmic_overhead, spec_sdm91());
  EXPECT_EQ(model->serial_fraction(), 0);
  EXPECT_FALSE(model->coefficients()[0].interval) << "clearly negative: [0, 0] would claim to be exact";
  EXPECT_TRUE(model->coefficients()[1].interval);
  EXPECT_GT(model->coefficients()[1].value, 0);
  const auto super_linear = curve({1, 2, 4, 8}, [](double p) { return 100 / std::pow(p, 1.1); });
  for (const Model& each : fit_models(super_linear, Scaling::strong)) {
    for (const Coefficient& coefficient : each.coefficients()) EXPECT_EQ(coefficient.value, 0);
  }
}

TEST(models, prediction_at_the_bound_keeps_the_wider_interval_and_holds_its_value) {
  auto points = doubling(16, amdahl_s);
  points.back().time_s *= 0.97;  // lower than any model with C >= 0 goes
  const auto model = Model::fit(universal_scalability, points);
  EXPECT_EQ(model->coefficients()[1].value, 0);
  EXPECT_EQ(model->degrees_of_freedom(), 2U);
  const Prediction prediction = model->predict(32);
  EXPECT_TRUE(prediction.interval->contains(prediction.time_s));
  EXPECT_GE(prediction.interval->lower, 0);
  // C < 0 would predict less, and the interval is around that.
  EXPECT_GT(prediction.time_s, (prediction.interval->lower + prediction.interval->upper) / 2);
  EXPECT_NEAR(prediction.time_s, Model::fit(amdahl, points)->predict(32).time_s, 1e-9);
}

TEST(models, are_relative_to_the_smallest_point) {
  const auto model = Model::fit(amdahl, curve({4, 8, 16, 32}, [](double p) { return 50 * (0.2 + 0.8 * 4 / p); }));
  expect_coefficient(model->coefficients()[0], "s", 0.2);
  const auto usl = Model::fit(universal_scalability,
                              curve({4, 8, 16, 32, 64}, [](double p) { return 90 * 4 / p + 10 + (p / 4 - 1); }));
  EXPECT_NEAR(*usl->peak_processors(), 4 * std::sqrt(90), 1e-6);
}

// T = 64/q + 2 log2 q is least where 64/q^2 = 2 / (q ln 2).
TEST(models, logarithmic_peak_is_where_time_is_least) {
  const auto model =
      Model::fit(logarithmic_overhead, doubling(128, [](double p) { return 64 / p + 1 + 2 * std::log2(p); }));
  EXPECT_NEAR(*model->peak_processors(), 32 * std::log(2), 1e-6);
  EXPECT_FALSE(Model::fit(amdahl, doubling(8, amdahl_s))->peak_processors().has_value());
}

TEST(models, as_many_points_as_coefficients_have_no_interval) {
  const auto model = Model::fit(amdahl, curve({1, 2}, amdahl_s));
  EXPECT_NEAR(model->predict(4).time_s, amdahl_s(4), 1e-9);
  EXPECT_FALSE(model->predict(4).interval.has_value());
  EXPECT_FALSE(model->coefficients()[0].standard_error.has_value());
  EXPECT_FALSE(model->aicc().has_value());
}

TEST(models, too_few_sizes_have_no_model) {
  EXPECT_FALSE(Model::fit(amdahl, {}).has_value());
  EXPECT_FALSE(Model::fit(amdahl, curve({1}, amdahl_s)).has_value());
  EXPECT_FALSE(Model::fit(amdahl, curve({4, 4, 4}, amdahl_s)).has_value());
  EXPECT_FALSE(Model::fit(universal_scalability, curve({1, 2, 2, 1}, amdahl_s)).has_value());
  EXPECT_FALSE(Model::fit(logarithmic_overhead, curve({1, 2, 2, 1}, amdahl_s)).has_value());
  EXPECT_THAT(fit_models(curve({1, 2}, amdahl_s), Scaling::strong), SizeIs(1));
  EXPECT_THAT(fit_models({}, Scaling::strong), IsEmpty());
}

TEST(models, points_that_are_not_positive_and_finite_are_refused) {
  for (const double bad : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_THROW(static_cast<void>(Model::fit(amdahl, std::vector<ModelPoint>{{1, 1}, {2, bad}})),
                 std::invalid_argument);
    EXPECT_THROW(static_cast<void>(Model::fit(amdahl, std::vector<ModelPoint>{{1, 1}, {bad, 1}})),
                 std::invalid_argument);
  }
}

TEST(models, weak_scaling_has_gustafson_s) {
  const auto models = fit_models(doubling(16, gustafson_s), Scaling::weak);
  ASSERT_THAT(models, SizeIs(1));
  EXPECT_EQ(name(models[0].kind()), "Gustafson");
}

TEST(hold_out, error_is_of_the_largest_point_predicted_from_the_others) {
  auto points = doubling(16, amdahl_s);
  points.back().time_s = 2 * amdahl_s(16);
  const auto held = hold_out(amdahl, points);
  ASSERT_TRUE(held.has_value());
  EXPECT_EQ(held->predicted.processors, 16);
  EXPECT_NEAR(held->predicted.time_s, amdahl_s(16), 1e-9);
  EXPECT_NEAR(held->relative_error, -0.5, 1e-12);
  EXPECT_FALSE(held->within_interval);
  EXPECT_FALSE(hold_out(universal_scalability, curve({1, 2, 4}, amdahl_s)).has_value());
  EXPECT_FALSE(hold_out(amdahl, {}).has_value());
}

TEST(preferred, is_the_model_that_the_points_are_of) {
  const auto choice = [](double (*time_s)(double), double most = 64) {
    const auto models = fit_models(doubling(most, time_s), Scaling::strong);
    const auto index = preferred(models);
    return index ? name(models[*index].kind()) : "none";
  };
  EXPECT_EQ(choice(amdahl_s), "Amdahl");
  EXPECT_EQ(choice(usl_s), "universal scalability");
  EXPECT_EQ(choice(logarithmic_s), "logarithmic overhead");
  EXPECT_EQ(choice(amdahl_s, 32), "Amdahl");
  EXPECT_EQ(choice(amdahl_s, 16), "none");  // five points
}

// Times that grow: of the bounded models the best is a constant, sum(1/T) / sum(1/T^2), whose errors are these.
TEST(models, residual_is_that_of_the_bounded_fit) {
  const auto points = doubling(
      128, +[](double p) { return 2 - 1 / p; });
  double inverses = 0;
  double squared_inverses = 0;
  for (const ModelPoint& point : points) {
    inverses += 1 / point.time_s;
    squared_inverses += 1 / (point.time_s * point.time_s);
  }
  double squares = 0;
  for (const ModelPoint& point : points) squares += std::pow(1 - inverses / squared_inverses / point.time_s, 2);
  const auto model = Model::fit(amdahl, points);
  EXPECT_NEAR(model->relative_residual(), std::sqrt(squares / (8 - 2)), 1e-12);
  const Coefficient& s = model->coefficients()[0];
  EXPECT_EQ(s.value, 1);
  EXPECT_FALSE(s.interval) << "unbounded it is 2, whose interval has nothing in common with what s may be";
  const auto constant = Model::fit(amdahl, std::vector<ModelPoint>{{1, 10}, {2, 10.2}, {4, 9.9}, {8, 10.1}});
  EXPECT_EQ(constant->coefficients()[0].interval->upper, 1) << "a part is not more than the whole";
}

TEST(preferred, of_points_without_noise_is_not_chosen_by_rounding) {
  std::vector<double> processors(40);  // so many that a third coefficient costs little
  std::iota(processors.begin(), processors.end(), 1.0);
  for (int i = 0; i < 100; ++i) {
    const double s = 0.01 * i;
    const auto points = curve(processors, [s](double p) { return 7 * (s + (1 - s) / p); });
    EXPECT_EQ(preferred(fit_models(points, Scaling::strong)), 0U) << s;
  }
}

TEST(envelope, holds_every_models_interval) {
  auto points = doubling(64, usl_s);
  for (std::size_t i = 0; i < points.size(); i += 2) points[i].time_s *= 1.02;
  const auto models = fit_models(points, Scaling::strong);
  const auto whole = envelope(models, 128);
  ASSERT_TRUE(whole.has_value());
  double lowest = std::numeric_limits<double>::infinity();
  for (const Model& model : models) {
    EXPECT_TRUE(whole->contains(model.predict(128).interval->lower));
    EXPECT_TRUE(whole->contains(model.predict(128).interval->upper));
    lowest = std::min(lowest, model.predict(128).interval->lower);
  }
  EXPECT_EQ(whole->lower, lowest);
  EXPECT_FALSE(envelope(fit_models(curve({1, 2}, amdahl_s), Scaling::strong), 4).has_value());
  EXPECT_FALSE(envelope(fit_models(curve({1, 2, 4}, amdahl_s), Scaling::strong), 8).has_value())
      << "Amdahl's model has an interval, those of three coefficients could be anywhere";
}

}  // namespace
}  // namespace echelon::analysis
