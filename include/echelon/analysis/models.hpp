#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <echelon/analysis/estimate.hpp>
#include <echelon/analysis/speedup.hpp>

namespace echelon::analysis {

/// How time depends on q, the processors over those of the smallest point. All are linear in their coefficients:
///   amdahl                 T = A/q + B               serial fraction s = B / (A + B)
///   universal_scalability  T = A/q + B + C (q - 1)   contention alpha = B / (A + B), coherency beta = C / (A + B)
///   logarithmic_overhead   T = A/q + B + D log2 q    delta = D / (A + B): a collective's tree
///   gustafson, for weak scaling: 1/T = A + B/q       s = B / (A + B), scaled speedup q - s (q - 1)
/// Sources: Amdahl, AFIPS 1967; Gunther, Guerrilla Capacity Planning, 2007, chapter 4, of whose
/// X = gamma q / (1 + alpha (q - 1) + beta q (q - 1)) the second is 1/X; Gustafson, CACM 31(5), 1988. The coefficients
/// are not negative, which is Gunther's beta >= 0 and 0 <= alpha <= 1.
enum class ModelKind { amdahl, universal_scalability, logarithmic_overhead, gustafson };

[[nodiscard]] std::string_view name(ModelKind kind) noexcept;

/// One configuration's median time.
struct ModelPoint {
  double processors = 0;
  double time_s = 0;
};

struct Prediction {
  double processors = 0;
  double time_s = 0;
  std::optional<Interval> interval;  ///< where a further point's median lies; none without degrees of freedom;
                                     ///< Gustafson's may have no upper end: infinity
};

/// A coefficient relative to the time at q = 1, with its standard error by the delta method.
struct Coefficient {
  std::string_view symbol;  ///< "s", "alpha", "beta", "delta"
  double value = 0;
  /// None without degrees of freedom, or where the data are clearly beyond what the model may have, as those of
  /// super-linear scaling: the value is then that bound.
  std::optional<double> standard_error;
  std::optional<Interval> interval;  ///< Student's t, not below 0, nor s and alpha above 1
};

/// How far off a prediction was of what was then measured.
struct HoldOut {
  Prediction predicted;
  double measured_s = 0;
  double relative_error = 0;  ///< (predicted - measured) / measured
  bool within_interval = false;
};

/// Weighted least squares of the points' medians, with weights 1/T^2: the relative error is the same everywhere. The
/// point, not the run, is the observation, so that what a model does not describe counts as error, too. Intervals are
/// those of the fit whose coefficients may be negative, widened to hold the bounded one's value: intervals of the
/// bounded fit alone covered 86 % where four points put a bound in reach of the noise.
///
/// Coverage of 95 % prediction intervals by the right model, at twice the largest of 1, 2, ..., 64 (or 8) processors,
/// over 20,000 simulated studies: 94.8 to 95.8 % with log-normal times (CV 1 and 3 %, 1 and 10 repetitions); 94.6 to
/// 95.2 % with medians of 10 that have 10 % stragglers to +30 %, and 93.9 to 95.2 % with those of 6; but 89 to 95 % of
/// single times with such stragglers, so repeat. A wrong model's intervals fail without a sign: see the hold-outs.
class Model {
 public:
  /// None where there are not as many different numbers of processors as coefficients.
  /// Throws std::invalid_argument where a time or number of processors is not positive and finite.
  [[nodiscard]] static std::optional<Model> fit(ModelKind kind, std::span<const ModelPoint> points,
                                                double confidence = default_confidence);

  [[nodiscard]] ModelKind kind() const noexcept { return kind_; }
  /// Of the smallest point, q = 1.
  [[nodiscard]] double base_processors() const noexcept { return base_processors_; }
  [[nodiscard]] Prediction predict(double processors) const;
  /// The serial fraction first; then beta or delta, where there is one.
  [[nodiscard]] const std::vector<Coefficient>& coefficients() const noexcept { return coefficients_; }
  [[nodiscard]] double serial_fraction() const noexcept { return coefficients_.front().value; }
  /// Where time is least, from the smallest point on: of universal scalability at q = sqrt((1 - alpha) / beta), of
  /// logarithmic overhead at A ln 2 / D. None where time falls for ever.
  [[nodiscard]] std::optional<double> peak_processors() const noexcept;
  /// The standard deviation of the points' relative errors, (T - predicted) / T; 0 without degrees of freedom.
  [[nodiscard]] double relative_residual() const noexcept { return relative_residual_; }
  [[nodiscard]] std::size_t degrees_of_freedom() const noexcept { return degrees_of_freedom_; }
  /// Akaike's criterion with the correction for few points; none where there are fewer than coefficients + 3. Source:
  /// Burnham and Anderson, Model Selection, 2nd ed., section 2.4.
  [[nodiscard]] const std::optional<double>& aicc() const noexcept { return aicc_; }

 private:
  static constexpr std::size_t most_terms = 3;
  using Terms = std::array<double, most_terms>;

  [[nodiscard]] Terms basis(double processors) const noexcept;
  [[nodiscard]] Coefficient relative(std::string_view symbol, std::size_t term) const;

  ModelKind kind_ = ModelKind::amdahl;
  double base_processors_ = 1;
  double t_bound_ = 0;
  double confidence_ = default_confidence;
  Terms terms_{};
  Terms unbounded_terms_{};  ///< of the fit that may have negative ones; all intervals are its
  std::array<Terms, most_terms> unscaled_covariance_{};
  double relative_residual_ = 0;
  double noise_ = 0;  ///< the same, of the unbounded fit
  std::size_t degrees_of_freedom_ = 0;
  std::optional<double> aicc_;
  std::vector<Coefficient> coefficients_;
};

/// The models that suit this kind of scaling and can be fitted, simplest first.
[[nodiscard]] std::vector<Model> fit_models(std::span<const ModelPoint> points, Scaling scaling,
                                            double confidence = default_confidence);

/// What the model, fitted without the points of the most processors, predicts for the first of these; none where it
/// cannot be fitted so.
[[nodiscard]] std::optional<HoldOut> hold_out(ModelKind kind, std::span<const ModelPoint> points,
                                              double confidence = default_confidence);

/// The index of the smallest AICc, of equal ones the simplest; none where one of the models has none, which with three
/// coefficients is below six points: so few cannot tell them apart.
[[nodiscard]] std::optional<std::size_t> preferred(std::span<const Model> models);

/// From the lowest lower to the highest upper bound of the models there; none where one of them has no interval, as it
/// could be anywhere.
[[nodiscard]] std::optional<Interval> envelope(std::span<const Model> models, double processors);

}  // namespace echelon::analysis
