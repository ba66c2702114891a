#include <cmath>
#include <map>
#include <set>
#include <span>

#include <nlohmann/json.hpp>

#include <echelon/base/version.hpp>
#include <echelon/report/html.hpp>
#include <echelon/report/json.hpp>

#include "report/html/assets.hpp"
#include "report/printable.hpp"
#include "report/summary.hpp"

namespace echelon::report {
namespace {

using Json = nlohmann::ordered_json;
using analysis::Estimate;
using analysis::Interval;
using analysis::Model;
using analysis::Prediction;
using analysis::Scaling;
using analysis::Study;
using analysis::StudyPoint;
using analysis::StudyRow;

/// JSON has no infinities: they are words, and what is not a number is null.
Json as_json(double value) {
  if (std::isnan(value)) return nullptr;
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

Json as_json(const Interval& interval) {
  return {{"lower", as_json(interval.lower)},
          {"upper", as_json(interval.upper)},
          {"confidence", as_json(interval.confidence)}};
}

// What the templates below find.
Json as_json(const Estimate& estimate);
Json as_json(const analysis::Spread& spread);
Json as_json(const analysis::Speedup& scaling);
Json as_json(const analysis::PopFactors& pop);
Json as_json(const analysis::HoldOut& hold_out);
Json as_json(const measure::Record& record);
Json as_json(const BesideFigures& figures);

template <typename T>
Json as_json(const std::optional<T>& value) {
  return value ? as_json(*value) : Json(nullptr);
}

Json as_json(const Estimate& estimate) {
  return {{"value", as_json(estimate.value)}, {"interval", as_json(estimate.interval)}};
}

Json as_json(const analysis::Spread& spread) {
  return {{"minimum", as_json(spread.minimum)},
          {"lower_quartile", as_json(spread.lower_quartile)},
          {"upper_quartile", as_json(spread.upper_quartile)},
          {"maximum", as_json(spread.maximum)},
          {"coefficient_of_variation", as_json(spread.coefficient_of_variation)},
          {"outliers", spread.outliers}};
}

Json as_json(const analysis::Speedup& scaling) {
  return {{"speedup", as_json(scaling.speedup)},
          {"efficiency", as_json(scaling.efficiency)},
          {"serial_fraction", as_json(scaling.serial_fraction)}};
}

Json as_json(const analysis::PopFactors& pop) {
  return {{"load_balance", as_json(pop.load_balance)},
          {"communication", as_json(pop.communication)},
          {"parallel", as_json(pop.parallel)},
          {"computation_scalability", as_json(pop.computation_scalability)},
          {"global", as_json(pop.global)}};
}

Json as_json(const StudyRow& row) {
  return {{"label", analysis::label(row.ranks, row.threads)},
          {"point", row.point},
          {"ranks", row.ranks},
          {"threads", row.threads},
          {"nodes", row.nodes},
          {"processors", row.processors},
          {"repetitions", row.repetitions},
          {"failures", row.failures},
          {"time_s", as_json(row.time_s)},
          {"spread", as_json(row.spread)},
          {"scaling", as_json(row.scaling)},
          {"pop", as_json(row.pop)},
          {"startup_s", as_json(row.startup_s)},
          {"elapsed_s", as_json(row.elapsed_s)},
          {"cpu_percent", as_json(row.cpu_percent)},
          {"node_hours", as_json(row.node_hours)},
          {"processor_hours", as_json(row.processor_hours)}};
}

Json as_json(const Prediction& prediction) {
  return {{"processors", as_json(prediction.processors)},
          {"time_s", as_json(prediction.time_s)},
          {"interval", as_json(prediction.interval)}};
}

Json as_json(const analysis::HoldOut& hold_out) {
  return {{"predicted", as_json(hold_out.predicted)},
          {"measured_s", as_json(hold_out.measured_s)},
          {"relative_error", as_json(hold_out.relative_error)},
          {"within_interval", hold_out.within_interval}};
}

/// From the smallest point to where the study may extrapolate, dense enough to be drawn as curves; the points' own
/// numbers of processors are among them.
std::vector<double> curve_processors(const Study& study) {
  std::set<double> at;
  for (const analysis::Forecast& forecast : study.forecasts) at.insert(forecast.processors);
  if (at.empty()) return {};
  const double first = *at.begin();
  const double ratio = *at.rbegin() / first;
  constexpr int steps = 48;
  for (int i = 1; i < steps; ++i) at.insert(first * std::pow(ratio, static_cast<double>(i) / steps));
  return {at.begin(), at.end()};
}

Json as_json(const Model& model, const std::optional<analysis::HoldOut>& hold_out, std::span<const double> processors) {
  Json coefficients = Json::array();
  for (const analysis::Coefficient& c : model.coefficients()) {
    coefficients.push_back({{"symbol", std::string{c.symbol}},
                            {"value", as_json(c.value)},
                            {"standard_error", as_json(c.standard_error)},
                            {"interval", as_json(c.interval)}});
  }
  Json curve = Json::array();
  for (const double p : processors) {
    const Prediction prediction = model.predict(p);
    Json point = Json::array({p, as_json(prediction.time_s)});
    if (prediction.interval) {
      point.push_back(as_json(prediction.interval->lower));
      point.push_back(as_json(prediction.interval->upper));
    }
    curve.push_back(std::move(point));
  }
  return {{"name", std::string{analysis::name(model.kind())}},
          {"coefficients", std::move(coefficients)},
          {"relative_residual", as_json(model.relative_residual())},
          {"degrees_of_freedom", model.degrees_of_freedom()},
          {"aicc", as_json(model.aicc())},
          {"peak_processors", as_json(model.peak_processors())},
          {"hold_out", as_json(hold_out)},
          {"curve", std::move(curve)}};
}

Json as_json(const analysis::Forecast& forecast) {
  Json predictions = Json::array();
  for (const Prediction& prediction : forecast.predictions) predictions.push_back(as_json(prediction));
  return {{"processors", as_json(forecast.processors)},
          {"measured", forecast.measured},
          {"predictions", std::move(predictions)},
          {"envelope", as_json(forecast.envelope)}};
}

Json as_json(const StudyPoint& point) {
  Json runs = Json::array();
  for (const analysis::StudyRun& run : point.runs) {
    Json pop = nullptr;
    if (run.pop) {
      pop = {{"useful_s", as_json(run.pop->useful_s)},
             {"longest_s", as_json(run.pop->longest_s)},
             {"elapsed_s", as_json(run.pop->elapsed_s)},
             {"processors", run.pop->processors}};
    }
    runs.push_back({{"sequence", run.sequence},
                    {"time_s", as_json(run.time_s)},
                    {"startup_s", as_json(run.startup_s)},
                    {"elapsed_s", as_json(run.elapsed_s)},
                    {"cpu_s", as_json(run.cpu_s)},
                    {"pop", std::move(pop)}});
  }
  return {{"label", analysis::label(point.ranks, point.threads)},
          {"ranks", point.ranks},
          {"threads", point.threads},
          {"nodes", point.nodes},
          {"cpus_allowed", point.cpus_allowed},
          {"work", as_json(point.work)},
          {"oversubscribed", point.oversubscribed},
          {"startup_counted", point.startup_counted},
          {"failures", point.failures},
          {"runs", std::move(runs)}};
}

Json as_json(const StudyRunLine& run) {
  return {{"sequence", run.sequence},      {"point", run.point},
          {"warmup", run.warmup},          {"attempt", run.attempt},
          {"started_at", run.started_at},  {"host", run.host},
          {"time_s", as_json(run.time_s)}, {"launch_to_exit_s", as_json(run.launch_to_exit_s)},
          {"cpu_s", as_json(run.cpu_s)},   {"error", run.error}};
}

/// A list of objects by their members, texts as { values, index }: a record of a thousand ranks has the names of its
/// members a thousand times, and few hosts.
Json columns(const Json& rows) {
  Json by_name = Json::object();
  for (const Json& row : rows) {
    for (const auto& [name, value] : row.items()) by_name[name].push_back(value);
  }
  for (auto& [name, column] : by_name.items()) {
    if (!column.front().is_string()) continue;
    Json values = Json::array();
    Json index = Json::array();
    std::map<std::string, std::size_t> known;
    for (const Json& text : column) {
      const auto [at, is_new] = known.try_emplace(text.get<std::string>(), known.size());
      if (is_new) values.push_back(text);
      index.push_back(at->second);
    }
    column = {{"values", std::move(values)}, {"index", std::move(index)}};
  }
  return by_name;
}

Json as_json(const measure::Record& record) {
  // By way of a record's own text, so that this has all of its members.
  Json json = Json::parse(to_json(record));
  json["ranks"] = columns(json["ranks"]);
  return json;
}

Json as_json(const BesideFigures& figures) {
  return {{"time_s", as_json(figures.time_s)},
          {"speedup", as_json(figures.speedup)},
          {"efficiency", as_json(figures.efficiency)},
          {"cpu_percent", as_json(figures.cpu_percent)}};
}

Json as_json(const Study& study, const Beside& beside) {
  Json rows = Json::array();
  for (const BesideRow& row : beside_rows(study, beside)) {
    rows.push_back({{"processors", row.processors}, {"study", as_json(row.study)}, {"other", as_json(row.other)}});
  }
  return {{"title", beside.title}, {"is_elapsed", beside.is_elapsed}, {"rows", std::move(rows)}};
}

template <typename T>
Json list(const T& values) {
  Json array = Json::array();
  for (const auto& value : values) array.push_back(as_json(value));
  return array;
}

Json as_json(const StudyView& view, std::string_view markdown, std::string_view latex) {
  const Study& study = view.study;
  const std::vector<double> processors = curve_processors(study);
  Json models = Json::array();
  for (std::size_t i = 0; i < study.models.size(); ++i) {
    models.push_back(
        as_json(study.models[i], i < study.hold_outs.size() ? study.hold_outs[i] : std::nullopt, processors));
  }
  const base::Build& build = base::build();
  Json json;
  json["schema"] = "echelon.study-report/1";
  json["echelon"] = {{"version", build.version}, {"commit", build.commit}};
  json["title"] = view.title;
  json["command_line"] = view.command_line;
  json["scaling"] = study.scaling == Scaling::strong ? "strong" : "weak";
  json["weak"] = view.weak;
  json["summary"] = summary(view);
  json["warnings"] = study.warnings;
  json["notes"] = view.notes;
  json["baseline"] = study.baseline ? Json(*study.baseline) : Json(nullptr);
  json["fewest_for_interval"] = analysis::fewest_for_interval;
  json["rows"] = list(study.rows);
  json["models"] = std::move(models);
  json["preferred"] = study.preferred ? Json(*study.preferred) : Json(nullptr);
  json["extrapolation_limit"] = as_json(study.extrapolation_limit);
  json["forecasts"] = list(study.forecasts);
  json["beside"] = Json::array();
  for (const Beside& beside : view.beside) json["beside"].push_back(as_json(study, beside));
  json["runs"] = list(view.runs);
  json["points"] = list(view.points);
  json["records"] = list(view.records);
  json["markdown"] = markdown;
  json["latex"] = latex;
  return json;
}

/// As text within HTML, in attributes too.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : printable(text)) {
    switch (c) {
      case '&': result += "&amp;"; break;
      case '<': result += "&lt;"; break;
      case '>': result += "&gt;"; break;
      case '"': result += "&quot;"; break;
      case '\'': result += "&#39;"; break;
      default: result += c;
    }
  }
  return result;
}

/// JSON for a script element, which anything like "</script" or "<!--" would end or change: there is no "<" in it.
std::string script_text(const Json& json) {
  std::string result;
  for (const char c : json.dump(-1, ' ', false, Json::error_handler_t::replace)) {
    if (c == '<') {
      result += "\\u003c";
    } else {
      result += c;
    }
  }
  return result;
}

/// Puts values where the page has "{{name}}"; once, so that what values have of this stays as it is.
std::string filled(std::string_view page, const std::map<std::string_view, std::string_view>& values) {
  std::string result;
  while (true) {
    const std::size_t begin = page.find("{{");
    const std::size_t end = page.find("}}", begin);
    if (begin == std::string_view::npos || end == std::string_view::npos) return result.append(page);
    result += page.substr(0, begin);
    result += values.at(page.substr(begin + 2, end - begin - 2));
    page.remove_prefix(end + 2);
  }
}

}  // namespace

std::string study_html(const StudyView& view, std::string_view markdown, std::string_view latex) {
  const std::string data = script_text(as_json(view, markdown, latex));
  const std::string title = escaped(view.title);
  const std::string command = escaped(view.command_line);
  return filled(html::page, {{"title", title},
                             {"command", command},
                             {"style", html::style},
                             {"charts", html::charts},
                             {"script", html::script},
                             {"data", data}});
}

}  // namespace echelon::report
