#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <echelon/report/plural.hpp>
#include <echelon/report/study_text.hpp>
#include <echelon/report/table.hpp>

#include "printable.hpp"
#include "study_words.hpp"

namespace echelon::report {
namespace {

using analysis::Estimate;
using analysis::Interval;
using enum Table::Align;

std::string paragraph(std::string_view text, std::string_view indent = "") {
  return wrapped(printable(text), text_width, indent) + '\n';
}

std::string list(std::string_view head, const std::vector<std::string>& items) {
  if (items.empty()) return "";
  std::string text = fmt::format("\n{}:\n", head);
  for (const std::string& item : items) text += paragraph("  - " + item, "    ");
  return text;
}

std::string head_text(const StudyView& view) {
  std::string text = paragraph(view.title);
  const auto baseline = baseline_words(view);
  text += paragraph(fmt::format("{}{}; {}; {}", scaling_words(view),
                                baseline ? ", speedup against " + *baseline : std::string{}, time_words(view),
                                repetition_words(view)));
  if (const std::string machine = machine_words(view); !machine.empty()) text += paragraph(machine);
  if (const std::string software = software_words(view); !software.empty()) text += paragraph(software);
  if (!view.command_line.empty()) text += printable(view.command_line) + '\n';
  return text;
}

std::string fixed(const std::optional<double>& value, int decimals) {
  return value ? fmt::format("{:.{}f}", *value, decimals) : "-";
}

std::string whole(std::uint64_t value) { return fmt::format("{}", value); }

std::string time_table(const StudyView& view) {
  const std::string interval = fmt::format(" [{} % CI]", confidence_percent(view.study));
  Table table{{{"nodes"},
               {"ranks"},
               {"threads"},
               {"n"},
               {"time s" + interval, left},
               {"speedup" + interval, left},
               {"efficiency" + interval, left},
               {"elapsed s"},
               {"%CPU"}}};
  for (const analysis::StudyRow& row : view.study.rows) {
    table.add({whole(row.nodes), whole(row.ranks), whole(row.threads), whole(row.repetitions),
               time_with_interval(row.time_s), with_interval(speedup_of(row), 2), with_interval(efficiency_of(row), 3),
               fixed(row.elapsed_s, row.elapsed_s ? decimals_of_four_digits(*row.elapsed_s) : 0),
               fixed(row.cpu_percent, 0)});
  }
  return '\n' + table.text();
}

/// Nothing that a study can tell from 0 is shown as if it could.
std::string significant(double value) {
  if (!std::isfinite(value)) return "-";
  return std::abs(value) < 1e-9 ? "0" : fmt::format("{:.3g}", value);
}

std::string significant(const Interval& interval) {
  return fmt::format(" [{}, {}]", significant(interval.lower), significant(interval.upper));
}

std::string serial_fraction(const std::optional<Estimate>& estimate) {
  if (!estimate) return "-";
  return significant(estimate->value) + (estimate->interval ? significant(*estimate->interval) : "");
}

/// Where the time goes: POP's hierarchy, and the serial fraction.
std::string factor_table(const StudyView& view) {
  const bool is_strong = view.study.scaling == analysis::Scaling::strong;
  const std::string interval = fmt::format(" [{} % CI]", confidence_percent(view.study));
  Table table{{{"ranks"},
               {"threads"},
               {"LB"},
               {"CommE"},
               {"ParE"},
               {"CompS"},
               {"GlobE"},
               {(is_strong ? "Karp-Flatt e" : "serial fraction s") + interval, left},
               {"startup s"},
               {"node-hours"},
               {"failed runs"}}};
  for (const analysis::StudyRow& row : view.study.rows) {
    const auto factor = [&](Estimate analysis::PopFactors::*member) {
      return row.pop ? fmt::format("{:.3f}", ((*row.pop).*member).value) : std::string{"-"};
    };
    table.add({whole(row.ranks), whole(row.threads), factor(&analysis::PopFactors::load_balance),
               factor(&analysis::PopFactors::communication), factor(&analysis::PopFactors::parallel),
               factor(&analysis::PopFactors::computation_scalability),
               row.pop ? fmt::format("{:.3f}", row.pop->global) : "-",
               row.scaling ? serial_fraction(row.scaling->serial_fraction) : "-", fixed(row.startup_s, 3),
               row.node_hours ? fmt::format("{:.3g}", *row.node_hours) : "-", whole(row.failures)});
  }
  return '\n' + table.text() +
         "LB load balance, CommE communication, ParE parallel efficiency = LB x CommE, CompS computation scalability,\n"
         "GlobE = ParE x CompS (POP); node-hours of one run\n";
}

/// With a sign, but none of what is 0 as shown.
std::string percent(double fraction) { return fmt::format("{:+.1f} %", std::round(1000 * fraction) / 10 + 0.0); }

std::string model_table(const analysis::Study& study) {
  Table table{{{"model", left},
               {"coefficient", left},
               {fmt::format("value [{} % CI]", confidence_percent(study)), left},
               {"residual"},
               {"least time at"},
               {"largest point held out", left}}};
  for (std::size_t m = 0; m < study.models.size(); ++m) {
    const analysis::Model& model = study.models[m];
    const auto& hold_out = study.hold_outs.at(m);
    std::string held = "-";
    if (hold_out) {
      held = percent(hold_out->relative_error) + " off";
      if (hold_out->predicted.interval) held += hold_out->within_interval ? ", within" : ", outside";
    }
    const auto peak = model.peak_processors();
    std::string name = fmt::format("{}{}", analysis::name(model.kind()), study.preferred == m ? " *" : "");
    std::string residual =
        model.degrees_of_freedom() > 0 ? fmt::format("{:.2f} %", 100 * model.relative_residual()) : "-";
    std::string least = peak ? fmt::format("{:.0f}", *peak) : "-";
    for (const analysis::Coefficient& coefficient : model.coefficients()) {
      std::string value = significant(coefficient.value);
      if (coefficient.interval) value += significant(*coefficient.interval);
      table.add({name, std::string{coefficient.symbol}, value, residual, least, held});
      for (std::string* once : {&name, &residual, &least, &held}) once->clear();
    }
  }
  std::string text = '\n' + table.text();
  if (std::ranges::any_of(study.hold_outs, [](const auto& held) { return held.has_value(); })) {
    text += "held out: the models, fitted without it, predict the largest point so far off";
    text += ", within or outside their interval\n";
  }
  const auto base = static_cast<std::uint64_t>(study.models.front().base_processors());
  if (base != 1 || study.rows[*study.baseline].processors != base) {
    text += fmt::format("coefficients are relative to the smallest point, of {}\n", plural(base, "processor"));
  }
  if (study.preferred) text += "* the smallest AICc\n";
  return text;
}

/// Speedup and efficiency that a time means there.
struct Meaning {
  Estimate speedup;
  Estimate efficiency;
};

Meaning meaning(const analysis::Study& study, const analysis::Prediction& predicted) {
  const analysis::StudyRow& base = study.rows[*study.baseline];
  const double more = predicted.processors / static_cast<double>(base.processors);
  const bool is_strong = study.scaling == analysis::Scaling::strong;
  const auto speedup = [&](double time_s) { return base.time_s->value / time_s * (is_strong ? 1 : more); };
  Meaning result{{speedup(predicted.time_s), std::nullopt}, {speedup(predicted.time_s) / more, std::nullopt}};
  if (const auto& of = predicted.interval) {
    result.speedup.interval = {speedup(of->upper), speedup(of->lower), of->confidence};
    result.efficiency.interval = {speedup(of->upper) / more, speedup(of->lower) / more, of->confidence};
  }
  return result;
}

std::string forecast_text(const analysis::Study& study) {
  const auto next = std::ranges::find(study.forecasts, false, &analysis::Forecast::measured);
  if (next == study.forecasts.end()) return "";
  const std::string interval = fmt::format(" [{} % PI]", confidence_percent(study));
  Table table{{{fmt::format("at {:.0f} processors", next->processors), left},
               {"time s" + interval, left},
               {"speedup" + interval, left},
               {"efficiency" + interval, left}}};
  for (std::size_t m = 0; m < next->predictions.size(); ++m) {
    const analysis::Prediction& predicted = next->predictions[m];
    const Meaning means = meaning(study, predicted);
    table.add({std::string{analysis::name(study.models.at(m).kind())},
               time_with_interval(Estimate{predicted.time_s, predicted.interval}), with_interval(means.speedup, 2),
               with_interval(means.efficiency, 3)});
  }
  std::string text = '\n' + table.text();
  if (next->envelope) {
    text += fmt::format("all models together: {} s; intervals hold only where a model is right\n",
                        interval_text(*next->envelope, decimals_of_four_digits(next->envelope->upper)));
  }
  return text;
}

std::string beside_text(const analysis::Study& study, const Beside& beside) {
  const std::string time = beside.is_elapsed ? "elapsed s" : "time s";
  Table table{{{"processors"},
               {time},
               {"speedup"},
               {"efficiency"},
               {"%CPU"},
               {"their " + time},
               {"speedup"},
               {"efficiency"},
               {"%CPU"},
               {"theirs / ours"}}};
  const auto add = [](std::vector<std::string>& line, const std::optional<BesideFigures>& figures) {
    if (!figures) return void(line.insert(line.end(), 4, "-"));
    line.insert(line.end(),
                {fixed(figures->time_s, decimals_of_four_digits(figures->time_s)), fixed(figures->speedup, 2),
                 fixed(figures->efficiency, 3), fixed(figures->cpu_percent, 0)});
  };
  for (const BesideRow& row : beside_rows(study, beside)) {
    std::vector<std::string> line{fmt::format("{}", row.processors)};
    add(line, row.study);
    add(line, row.other);
    line.push_back(row.study && row.other ? fmt::format("{:.3g}", row.other->time_s / row.study->time_s) : "-");
    table.add(std::move(line));
  }
  return '\n' + paragraph("beside " + beside.title + ':') + table.text();
}

std::vector<std::string> failures(const StudyView& view) {
  std::vector<std::string> lines;
  for (const StudyRunLine& run : view.runs) {
    if (run.error.empty()) continue;
    const analysis::StudyPoint& point = view.points.at(run.point);
    lines.push_back(fmt::format("run {}, {}{}{}{}: {}", run.sequence, analysis::label(point.ranks, point.threads),
                                run.warmup ? ", warm-up" : "", run.attempt > 1 ? ", again" : "",
                                run.host.empty() ? "" : ", on " + run.host, run.error));
  }
  return lines;
}

}  // namespace

std::string study_text(const StudyView& view) {
  std::string text = head_text(view) + time_table(view) + factor_table(view);
  if (!view.study.models.empty()) text += model_table(view.study) + forecast_text(view.study);
  for (const Beside& beside : view.beside) text += beside_text(view.study, beside);
  const auto& warnings = view.study.warnings;
  text += warnings.empty() ? "\nnothing looks wrong\n" : list("what looks wrong", warnings);
  text += list("notes", view.notes);
  text += list("failed runs", failures(view));
  return text;
}

}  // namespace echelon::report
