#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>

#include <echelon/analysis/models.hpp>

#include "distributions.hpp"
#include "least_squares.hpp"

namespace echelon::analysis {
namespace {

std::size_t terms_of(ModelKind kind) noexcept {
  return kind == ModelKind::amdahl || kind == ModelKind::gustafson ? 2 : 3;
}

double response(ModelKind kind, double time_s) noexcept { return kind == ModelKind::gustafson ? 1 / time_s : time_s; }

void check(std::span<const ModelPoint> points) {
  for (const ModelPoint& point : points) {
    const bool valid =
        point.processors > 0 && std::isfinite(point.processors) && point.time_s > 0 && std::isfinite(point.time_s);
    if (!valid) throw std::invalid_argument("a model's points need times and processors that are positive and finite");
  }
}

std::optional<double> corrected_akaike(double squares, std::size_t observations, std::size_t terms) {
  const auto n = static_cast<double>(observations);
  const auto k = static_cast<double>(terms + 1);
  if (n <= k + 1) return std::nullopt;
  // Of points without noise only rounding is left, which must not choose.
  constexpr double rounding = 1e-12;
  return n * std::log(std::max(squares / n, rounding * rounding)) + 2 * k + 2 * k * (k + 1) / (n - k - 1);
}

Interval widened(Interval interval, double to_hold) {
  return {std::min(interval.lower, to_hold), std::max(interval.upper, to_hold), interval.confidence};
}

}  // namespace

std::string_view name(ModelKind kind) noexcept {
  switch (kind) {
    case ModelKind::amdahl: return "Amdahl";
    case ModelKind::universal_scalability: return "universal scalability";
    case ModelKind::logarithmic_overhead: return "logarithmic overhead";
    case ModelKind::gustafson: return "Gustafson";
  }
  return "";
}

std::optional<Model> Model::fit(ModelKind kind, std::span<const ModelPoint> points, double confidence) {
  check(points);
  if (points.empty()) return std::nullopt;
  Model model;
  model.kind_ = kind;
  model.confidence_ = confidence;
  model.base_processors_ = std::ranges::min(points, {}, &ModelPoint::processors).processors;
  std::vector<Observation> observations;
  for (const ModelPoint& point : points) {
    observations.push_back({model.basis(point.processors), response(kind, point.time_s)});
  }
  const std::size_t terms = terms_of(kind);
  const auto unbounded = fit_relative(observations, terms);
  if (!unbounded) return std::nullopt;
  const auto found = fit_non_negative(observations, terms);
  if (!found) return std::nullopt;
  model.terms_ = found->coefficients;
  model.unbounded_terms_ = unbounded->coefficients;
  model.unscaled_covariance_ = unbounded->unscaled_covariance;
  model.degrees_of_freedom_ = points.size() - terms;
  if (model.degrees_of_freedom_ > 0) {
    const auto freedom = static_cast<double>(model.degrees_of_freedom_);
    model.relative_residual_ = std::sqrt(found->squares / freedom);
    model.noise_ = std::sqrt(unbounded->squares / freedom);
    model.t_bound_ = student_t_bound(confidence, freedom);
  }
  model.aicc_ = corrected_akaike(found->squares, points.size(), terms);
  model.coefficients_.push_back(model.relative(kind == ModelKind::universal_scalability ? "alpha" : "s", 1));
  if (terms == 3) {
    model.coefficients_.push_back(model.relative(kind == ModelKind::universal_scalability ? "beta" : "delta", 2));
  }
  return model;
}

Model::Terms Model::basis(double processors) const noexcept {
  const double q = processors / base_processors_;
  switch (kind_) {
    case ModelKind::amdahl: return {1 / q, 1};
    case ModelKind::universal_scalability: return {1 / q, 1, q - 1};
    case ModelKind::logarithmic_overhead: return {1 / q, 1, std::log2(q)};
    case ModelKind::gustafson: return {1, 1 / q};
  }
  return {};
}

Prediction Model::predict(double processors) const {
  const Terms at = basis(processors);
  Prediction prediction{processors, response(kind_, combine(terms_, at)), std::nullopt};
  if (degrees_of_freedom_ == 0) return prediction;
  // The noise of the new point is relative to its own y.
  const double y = combine(unbounded_terms_, at);
  const double half = t_bound_ * noise_ * std::sqrt(y * y + unscaled_variance(unscaled_covariance_, at));
  const double lower = std::max(y - half, 0.0);
  const double upper = std::max(y + half, 0.0);
  const Interval of_y =
      kind_ == ModelKind::gustafson ? Interval{1 / upper, 1 / lower, confidence_} : Interval{lower, upper, confidence_};
  prediction.interval = widened(of_y, prediction.time_s);
  return prediction;
}

Coefficient Model::relative(std::string_view symbol, std::size_t term) const {
  const auto share = [&](const Terms& terms) { return terms[term] / (terms[0] + terms[1]); };
  Coefficient coefficient{symbol, share(terms_), std::nullopt, std::nullopt};
  const double whole = unbounded_terms_[0] + unbounded_terms_[1];
  if (degrees_of_freedom_ == 0 || !(whole > 0)) return coefficient;
  const double unbounded = share(unbounded_terms_);
  Terms gradient{-unbounded / whole, -unbounded / whole};
  gradient[term] += 1 / whole;
  const double error = noise_ * std::sqrt(unscaled_variance(unscaled_covariance_, gradient));
  const Interval found{unbounded - t_bound_ * error, unbounded + t_bound_ * error, confidence_};
  // The share of one part of the whole is at most 1; what is beside A + B has no such bound.
  const double most = term == 1 ? 1 : std::numeric_limits<double>::infinity();
  constexpr double rounding = 1e-9;
  if (found.upper < -rounding || found.lower > most + rounding) return coefficient;  // not what the model describes
  coefficient.standard_error = error;
  coefficient.interval =
      widened({std::clamp(found.lower, 0.0, most), std::clamp(found.upper, 0.0, most), confidence_}, coefficient.value);
  return coefficient;
}

std::optional<double> Model::peak_processors() const noexcept {
  constexpr double rounding = 1e-9;  // of points without noise
  if (!(terms_[2] > rounding * (terms_[0] + terms_[1]))) return std::nullopt;
  const double ratio = terms_[0] / terms_[2];
  const double q = kind_ == ModelKind::universal_scalability ? std::sqrt(ratio) : ratio * std::numbers::ln2;
  return base_processors_ * std::max(q, 1.0);
}

std::vector<Model> fit_models(std::span<const ModelPoint> points, Scaling scaling, double confidence) {
  using enum ModelKind;
  const auto kinds = scaling == Scaling::strong ? std::vector{amdahl, universal_scalability, logarithmic_overhead}
                                                : std::vector{gustafson};
  std::vector<Model> models;
  for (const ModelKind kind : kinds) {
    if (auto model = Model::fit(kind, points, confidence)) models.push_back(std::move(*model));
  }
  return models;
}

std::optional<HoldOut> hold_out(ModelKind kind, std::span<const ModelPoint> points, double confidence) {
  if (points.empty()) return std::nullopt;
  const auto largest = std::ranges::max_element(points, {}, &ModelPoint::processors);
  std::vector<ModelPoint> rest;
  std::ranges::copy_if(points, std::back_inserter(rest),
                       [&](const ModelPoint& point) { return point.processors < largest->processors; });
  const auto model = Model::fit(kind, rest, confidence);
  if (!model) return std::nullopt;
  const Prediction predicted = model->predict(largest->processors);
  return HoldOut{predicted, largest->time_s, predicted.time_s / largest->time_s - 1,
                 predicted.interval && predicted.interval->contains(largest->time_s)};
}

std::optional<std::size_t> preferred(std::span<const Model> models) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < models.size(); ++i) {
    if (!models[i].aicc()) return std::nullopt;
    if (!best || *models[i].aicc() < *models[*best].aicc()) best = i;
  }
  return best;
}

std::optional<Interval> envelope(std::span<const Model> models, double processors) {
  std::optional<Interval> whole;
  for (const Model& model : models) {
    const auto interval = model.predict(processors).interval;
    if (!interval) return std::nullopt;
    if (!whole) whole = interval;
    whole->lower = std::min(whole->lower, interval->lower);
    whole->upper = std::max(whole->upper, interval->upper);
  }
  return whole;
}

}  // namespace echelon::analysis
