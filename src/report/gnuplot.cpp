#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>
#include <span>

#include <fmt/format.h>

#include <echelon/report/gnuplot.hpp>
#include <echelon/report/plural.hpp>

#include "printable.hpp"
#include "study_words.hpp"

namespace echelon::report {
namespace {

using analysis::Estimate;
using analysis::Interval;

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

std::string number(double value) {
  if (std::isinf(value)) return value > 0 ? "Inf" : "-Inf";
  return std::isnan(value) ? "NaN" : fmt::format("{:.9g}", value);
}

/// Without an interval: one of no width, so that the point is drawn.
std::string figures(const std::optional<Estimate>& estimate) {
  if (!estimate) return "NaN NaN NaN";
  const double value = estimate->value;
  const Interval interval = estimate->interval.value_or(Interval{value, value});
  return fmt::format("{} {} {}", number(value), number(interval.lower), number(interval.upper));
}

/// The base's processors and time are those that speedup is against.
struct Scale {
  double base_processors = 1;
  double base_s = unknown;
  bool is_strong = true;

  [[nodiscard]] double ideal_s(double processors) const {
    return is_strong ? base_s * base_processors / processors : base_s;
  }
  [[nodiscard]] double efficiency(double processors, double time_s) const { return ideal_s(processors) / time_s; }
  [[nodiscard]] double speedup(double processors, double time_s) const {
    return efficiency(processors, time_s) * processors / base_processors;
  }
};

Scale scale_of(const analysis::Study& study) {
  Scale scale{.is_strong = study.scaling == analysis::Scaling::strong};
  if (!study.baseline) return scale;
  const analysis::StudyRow& row = study.rows[*study.baseline];
  scale.base_processors = static_cast<double>(row.processors);
  scale.base_s = row.time_s->value;
  return scale;
}

/// In processors.
struct Range {
  double from = 1;
  double to = 1;
};

/// Of the x axis: the points that have times, and as far as models go.
Range range_of(const analysis::Study& study) {
  Range range{std::numeric_limits<double>::infinity(), 0};
  for (const analysis::StudyRow& row : study.rows) {
    if (!row.time_s) continue;
    range.from = std::min(range.from, static_cast<double>(row.processors));
    range.to = std::max(range.to, static_cast<double>(row.processors));
  }
  if (range.to == 0) return {};
  if (!study.models.empty()) range.to = std::max(range.to, study.extrapolation_limit);
  return range;
}

/// Up to where there are points that the models are fitted to: not all points are.
double last_fitted(const analysis::Study& study) {
  double last = 0;
  for (const analysis::Forecast& forecast : study.forecasts) {
    if (forecast.measured) last = std::max(last, forecast.processors);
  }
  return last;
}

/// From the first point that the models are fitted to, by way of the last, to where the study may extrapolate.
std::vector<double> curve_of(const analysis::Study& study) {
  if (study.forecasts.empty()) return {};
  const double first = study.forecasts.front().processors;
  const double ratio = study.forecasts.back().processors / first;
  constexpr int steps = 96;
  std::set<double> processors{last_fitted(study), study.forecasts.back().processors};
  for (int i = 0; i < steps; ++i) processors.insert(first * std::pow(ratio, i / double{steps}));
  return {processors.begin(), processors.end()};
}

/// The numbers of threads whose points are told apart: where there are several, and some have several points or the
/// same number of processors comes in several ways.
std::vector<std::uint64_t> thread_series(const analysis::Study& study) {
  std::set<std::uint64_t> threads;
  std::set<std::uint64_t> processors;
  std::size_t points = 0;
  for (const analysis::StudyRow& row : study.rows) {
    if (!row.time_s) continue;
    threads.insert(row.threads);
    processors.insert(row.processors);
    ++points;
  }
  if (threads.size() < 2 || (threads.size() == points && processors.size() == points)) return {};
  return {threads.begin(), threads.end()};
}

/// A string that gnuplot draws as it is. Between double quotes it replaces what is between backquotes, and names after
/// @ where it has lost count of the quotes: these are written by their codes.
std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : printable(text)) {
    switch (c) {
      case '\\': result += "\\\\"; break;
      case '"': result += "\\\""; break;
      case '`': result += "\\140"; break;
      case '@': result += "\\100"; break;
      default: result += c;
    }
  }
  return result + '"';
}

/// What an axis has to show.
struct Extent {
  double least = std::numeric_limits<double>::infinity();
  double most = 0;

  void add(double value) {
    if (!(value > 0) || !std::isfinite(value)) return;
    least = std::min(least, value);
    most = std::max(most, value);
  }
};

/// Of points, curves and the ideal; with the ends of the points' intervals, as far as these are not `reach` times as
/// far out; bands of models do not count. `pick` is an estimate of a row, `at` the figure for processors and seconds.
template <typename Pick, typename At>
Extent extent_of(const analysis::Study& study, const Scale& scale, double reach, Pick pick, At at) {
  Extent values;
  for (const analysis::StudyRow& row : study.rows) {
    if (const std::optional<Estimate> estimate = pick(row)) values.add(estimate->value);
  }
  for (const analysis::Model& model : study.models) {
    for (const double p : curve_of(study)) values.add(at(p, model.predict(p).time_s));
  }
  const Range range = range_of(study);
  for (const double p : {range.from, range.to}) values.add(at(p, scale.ideal_s(p)));
  Extent all = values;
  for (const analysis::StudyRow& row : study.rows) {
    const std::optional<Estimate> estimate = pick(row);
    if (!estimate || !estimate->interval) continue;
    all.add(std::max(estimate->interval->lower, values.least / reach));
    all.add(std::min(estimate->interval->upper, values.most * reach));
  }
  return all;
}

std::string linear_axis(const Extent& extent) {
  return fmt::format("unset logscale y; set yrange [0:{:.6g}]", extent.most > 0 ? 1.1 * extent.most : 1);
}

/// From one power of the base to another, as only these have labels.
std::string log_axis(const Extent& extent, int base) {
  const auto power = [&](double value) { return std::log(value) / std::log(base); };
  constexpr double space = 1.05;
  const double first = extent.most > 0 ? std::floor(power(extent.least / space)) : 0;
  const double last = extent.most > 0 ? std::ceil(power(extent.most * space)) : 1;
  return fmt::format("set logscale y {}; set yrange [{:.6g}:{:.6g}]", base, std::pow(base, first),
                     std::pow(base, last));
}

constexpr std::string_view preamble =
    R"(# gnuplot figures.gp writes time, speedup and efficiency as .svg and .pdf; it reads figures.dat beside it.
set encoding utf8
set datafile missing 'NaN'
set key noenhanced
set title noenhanced font ',9'
set xlabel 'processors'
set grid
set style fill transparent solid 0.12 noborder
set bars 0.5
# Ends of a band that are 0 or infinite have no place on a logarithmic axis: far outside of the figure will do.
low(end, middle) = end > 1e-4 * middle ? end : 1e-4 * middle
high(end, middle) = end < 1e4 * middle ? end : 1e4 * middle
formats = strstrt(GPVAL_TERMINALS, 'pdfcairo') ? 'svg pdf' : 'svg'
if (formats eq 'svg') print 'this gnuplot writes no PDF; the figures are SVG only'
do for [format in formats] {
  if (format eq 'pdf') { set terminal pdfcairo noenhanced font ',8' size 9cm,7cm } \
  else { set terminal svg noenhanced font ',11' size 540,420 background rgb 'white' }
)";

constexpr std::array<std::string_view, 3> colours{"#0072b2", "#d55e00",
                                                  "#009e73"};  // Okabe and Ito's: told apart by all readers

struct Figure {
  std::string_view file;
  std::string_view y_label;
  std::string axes;
  int column;         ///< of the figure in "points"; its bounds follow
  int model_column;   ///< of the figure in a model's table; its bounds follow
  std::string ideal;  ///< a function of x, or empty
};

/// Of a model: its band, its curve, and dashed the part of it that no point is near.
void add_model(std::vector<std::string>& parts, const Figure& figure, const analysis::Study& study, std::size_t m) {
  const analysis::Model& model = study.models[m];
  const double end = curve_of(study).back();
  const std::string_view colour = colours[m % colours.size()];
  const std::string data = fmt::format("'figures.dat' index {}", m + 1);
  const int c = figure.model_column;
  const std::string last = number(last_fitted(study));
  if (model.predict(end).interval) {
    parts.push_back(fmt::format("{} using 1:(low(${},${})):(high(${},${})) with filledcurves lc rgb '{}' notitle", data,
                                c + 1, c, c + 2, c, colour));
  }
  parts.push_back(fmt::format("{} using ($1<={}?$1:NaN):{} with lines lw 1.5 lc rgb '{}' title '{}'", data, last, c,
                              colour, analysis::name(model.kind())));
  if (end > last_fitted(study)) {
    parts.push_back(
        fmt::format("{} using ($1>={}?$1:NaN):{} with lines dt 2 lw 1.5 lc rgb '{}' notitle", data, last, c, colour));
  }
}

/// Points with their intervals: those of each number of threads by a mark of their own.
void add_points(std::vector<std::string>& parts, const Figure& figure, const analysis::Study& study) {
  constexpr std::array marks{7, 9, 5, 13, 11, 15, 6, 8, 4, 12, 10, 14};
  const std::vector<std::uint64_t> threads = thread_series(study);
  for (std::size_t i = 0; i < std::max<std::size_t>(threads.size(), 1); ++i) {
    const std::string x = threads.empty() ? "1" : fmt::format("($3=={}?$1:NaN)", threads[i]);
    const std::string who = threads.empty() ? "" : fmt::format(", {} a rank", plural(threads[i], "thread"));
    parts.push_back(
        fmt::format("'figures.dat' index 0 using {}:{}:{}:{} with yerrorbars pt {} ps 0.6 lw 1.5 lc rgb 'black' title "
                    "'median, {} % CI{}'",
                    x, figure.column, figure.column + 1, figure.column + 2, marks[i % marks.size()],
                    confidence_percent(study), who));
  }
}

std::string plot(const Figure& figure, const analysis::Study& study) {
  std::vector<std::string> parts;
  for (std::size_t m = 0; m < study.models.size(); ++m) add_model(parts, figure, study, m);
  if (!study.models.empty() && curve_of(study).back() > last_fitted(study)) {
    parts.emplace_back("NaN with lines dt 2 lw 1.5 lc rgb '#444444' title 'extrapolated'");
  }
  if (!figure.ideal.empty()) {
    parts.push_back(figure.ideal + " with lines dt 3 lw 1.5 lc rgb '#666666' title 'ideal'");
  }
  add_points(parts, figure, study);
  return fmt::format("  set output '{}.'.format\n  set ylabel '{}'\n  {}\n  plot {}\n  unset output\n", figure.file,
                     figure.y_label, figure.axes, fmt::join(parts, ", \\\n       "));
}

}  // namespace

std::string figures_dat(const StudyView& view) {
  const Scale scale = scale_of(view.study);
  std::string text = fmt::format("# {}\n# {}\n", printable(view.title), printable(view.command_line));
  text += "# processors ranks threads n time_s lower upper speedup lower upper efficiency lower upper\n";
  for (const analysis::StudyRow& row : view.study.rows) {
    text += fmt::format("{} {} {} {} {} {} {}\n", row.processors, row.ranks, row.threads, row.repetitions,
                        figures(row.time_s), figures(speedup_of(row)), figures(efficiency_of(row)));
  }
  const std::vector<double> curve = curve_of(view.study);
  for (const analysis::Model& model : view.study.models) {
    text += fmt::format("\n\n# {}: processors time_s lower upper speedup lower upper efficiency lower upper\n",
                        analysis::name(model.kind()));
    for (const double processors : curve) {
      const analysis::Prediction at = model.predict(processors);
      const Interval time_s = at.interval.value_or(Interval{unknown, unknown});
      // The shortest time is the largest speedup.
      const std::array times_s{at.time_s, time_s.upper, time_s.lower};
      text +=
          fmt::format("{} {} {} {}", number(processors), number(at.time_s), number(time_s.lower), number(time_s.upper));
      for (const double t : times_s) text += ' ' + number(scale.speedup(processors, t));
      for (const double t : times_s) text += ' ' + number(scale.efficiency(processors, t));
      text += '\n';
    }
  }
  return text;
}

std::string figures_gp(const StudyView& view) {
  const analysis::Study& study = view.study;
  const Scale scale = scale_of(study);
  const Range range = range_of(study);
  const std::string base = fmt::format("{:.9g}", scale.base_processors);
  const std::string base_s = fmt::format("{:.9g}", scale.base_s);
  std::string text{preamble};
  text += fmt::format("  set title {}\n", quoted(fmt::format("{}: {}", scaling_words(view), view.title)));
  text += fmt::format("  set logscale x 2\n  set xrange [{:.6g}:{:.6g}]\n", range.from / 1.15, range.to * 1.15);
  const auto seconds = [](double, double time_s) { return time_s; };
  const auto speedup = [&](double processors, double time_s) { return scale.speedup(processors, time_s); };
  const auto efficiency = [&](double processors, double time_s) { return scale.efficiency(processors, time_s); };
  constexpr double log_reach = 4;
  constexpr double linear_reach = 2;
  const Extent times = extent_of(
      study, scale, log_reach, [](const auto& row) { return row.time_s; }, seconds);
  const std::string time_axes =
      scale.is_strong ? log_axis(times, 10) + "; set key top right" : linear_axis(times) + "; set key bottom right";
  const auto ideal = [&](std::string formula) { return study.baseline ? std::move(formula) : std::string{}; };
  const std::array figures{
      Figure{"time", "time (s)", time_axes, 5, 2, ideal(scale.is_strong ? base_s + " * " + base + " / x" : base_s)},
      Figure{"speedup", scale.is_strong ? "speedup" : "scaled speedup",
             log_axis(extent_of(study, scale, log_reach, speedup_of, speedup), 2) + "; set key top left", 8, 5,
             ideal("x / " + base)},
      Figure{"efficiency", "efficiency",
             linear_axis(extent_of(study, scale, linear_reach, efficiency_of, efficiency)) + "; set key bottom left",
             11, 8, ideal("1")},
  };
  for (const Figure& figure : figures) text += plot(figure, study);
  return text + "}\n";
}

}  // namespace echelon::report
