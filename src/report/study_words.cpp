#include "study_words.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <echelon/analysis/labels.hpp>
#include <echelon/report/plural.hpp>

namespace echelon::report {
namespace {

using analysis::Estimate;

/// In the order of their first appearance.
void add_new(std::vector<std::string>& list, const std::string& text) {
  if (!text.empty() && std::ranges::find(list, text) == list.end()) list.push_back(text);
}

/// Many nodes are counted, not named.
std::string host_words(const std::vector<std::string>& hosts) {
  constexpr std::size_t most_named = 4;
  if (hosts.size() > most_named) return fmt::format("{} and {} more nodes", hosts.front(), hosts.size() - 1);
  return fmt::format("{}", fmt::join(hosts, ", "));
}

/// Without minus where it is 0 as shown.
std::string decimal(double value, int decimals) {
  std::string text = fmt::format("{:.{}f}", value, decimals);
  if (text.starts_with('-') && text.find_first_of("123456789") == std::string::npos) text.erase(0, 1);
  return text;
}

bool any_failed(const StudyView& view) {
  return std::ranges::any_of(view.points, [](const analysis::StudyPoint& point) { return point.failures > 0; });
}

}  // namespace

int decimals_of_four_digits(double value) noexcept {
  if (!(value > 0) || !std::isfinite(value)) return 3;
  return std::clamp(3 - static_cast<int>(std::floor(std::log10(value))), 0, 9);
}

std::string interval_text(const analysis::Interval& interval, int decimals) {
  const auto bound = [&](double value) { return std::isfinite(value) ? decimal(value, decimals) : std::string{"-"}; };
  return fmt::format("[{}, {}]", bound(interval.lower), bound(interval.upper));
}

std::string with_interval(const std::optional<Estimate>& estimate, int decimals) {
  if (!estimate) return "-";
  const std::string value = decimal(estimate->value, decimals);
  return estimate->interval ? value + ' ' + interval_text(*estimate->interval, decimals) : value;
}

std::string time_with_interval(const std::optional<Estimate>& time_s) {
  return with_interval(time_s, time_s ? decimals_of_four_digits(time_s->value) : 0);
}

std::optional<Estimate> speedup_of(const analysis::StudyRow& row) {
  return row.scaling ? std::optional{row.scaling->speedup} : std::nullopt;
}

std::optional<Estimate> efficiency_of(const analysis::StudyRow& row) {
  return row.scaling ? std::optional{row.scaling->efficiency} : std::nullopt;
}

std::string confidence_percent(const analysis::Study& study) {
  double confidence = analysis::default_confidence;
  // Those of the median know better than what was asked for.
  for (const analysis::StudyRow& row : study.rows) {
    if (row.scaling && row.scaling->speedup.interval) confidence = row.scaling->speedup.interval->confidence;
  }
  return fmt::format("{:.3g}", 100 * confidence);
}

std::string scaling_words(const StudyView& view) {
  if (view.study.scaling == analysis::Scaling::strong) return "Strong scaling";
  return view.weak.empty() ? "Weak scaling" : fmt::format("Weak scaling (work: {})", view.weak);
}

std::optional<std::string> baseline_words(const StudyView& view) {
  if (!view.study.baseline) return std::nullopt;
  const analysis::StudyRow& row = view.study.rows[*view.study.baseline];
  return fmt::format("{} on {} ({:.{}f} s)", analysis::label(row.ranks, row.threads), plural(row.nodes, "node"),
                     row.time_s->value, decimals_of_four_digits(row.time_s->value));
}

std::string repetition_words(const StudyView& view) {
  std::vector<std::size_t> repetitions;
  for (const analysis::StudyRow& row : view.study.rows) {
    if (row.repetitions > 0) repetitions.push_back(row.repetitions);
  }
  if (repetitions.empty()) return any_failed(view) ? "no run succeeded" : "no measured run yet";
  const auto [least, most] = std::ranges::minmax(repetitions);
  return least == most ? fmt::format("n = {} a point", plural(least, "run"))
                       : fmt::format("n = {} to {} a point", least, plural(most, "run"));
}

std::string_view time_words(const StudyView& view) {
  bool any_counted = false;
  bool any_not = false;
  for (const analysis::StudyPoint& point : view.points) {
    if (!point.runs.empty()) (point.startup_counted ? any_counted : any_not) = true;
  }
  if (!any_counted && !any_not) return "wall time";
  if (!any_counted) return "wall time without startup";
  return any_not ? "wall time without startup, but of some points from launch to exit"
                 : "wall time from launch to exit";
}

std::string machine_words(const StudyView& view) {
  std::vector<std::string> hosts;
  std::vector<std::string> models;
  std::vector<std::string> partitions;
  for (const measure::Context& context : view.contexts) {
    for (const std::string& host : context.hosts) add_new(hosts, host);
    add_new(models, context.cpu_model);
    if (const std::string* partition = measure::find(context.slurm, "SLURM_JOB_PARTITION")) {
      add_new(partitions, *partition);
    }
  }
  if (hosts.empty()) {
    for (const StudyRunLine& run : view.runs) add_new(hosts, run.host);
  }
  std::vector<std::string> parts;
  if (!hosts.empty()) parts.push_back(host_words(hosts));
  if (!models.empty()) parts.push_back(fmt::format("{}", fmt::join(models, " and ")));
  if (!partitions.empty()) parts.push_back(fmt::format("SLURM partition {}", fmt::join(partitions, ", ")));
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::string software_words(const StudyView& view) {
  std::vector<std::string> software;
  for (const measure::Context& context : view.contexts) {
    std::vector<std::string> parts;
    const std::string commit =
        context.commit.empty() ? "" : " (" + context.commit + (context.dirty ? ", changed)" : ")");
    if (!context.version.empty()) add_new(parts, fmt::format("Echelon {}{}", context.version, commit));
    add_new(parts, context.compiler);
    if (!context.build_type.empty()) add_new(parts, context.build_type + " build");
    add_new(parts, context.mpi);
    add_new(parts, context.isa);
    add_new(software, fmt::format("{}", fmt::join(parts, ", ")));
  }
  return fmt::format("{}", fmt::join(software, "; "));
}

std::string failed_points(const StudyView& view) {
  return analysis::labels(view.study.rows, [](const analysis::StudyRow& row) { return !row.time_s; });
}

std::string wrapped(std::string_view text, std::size_t width, std::string_view indent) {
  std::string result;
  std::size_t used = 0;  // of the line
  bool is_first = true;  // word
  for (bool more = true; more;) {
    const std::size_t blank = text.find(' ');
    more = blank != std::string_view::npos;
    const std::string_view word = text.substr(0, blank);
    text.remove_prefix(more ? blank + 1 : text.size());
    if (!is_first && used + 1 + word.size() > width && used > indent.size()) {
      result += '\n';
      result += indent;
      used = indent.size();
    } else if (!is_first) {
      result += ' ';
      ++used;
    }
    result += word;
    used += word.size();
    is_first = false;
  }
  return result;
}

}  // namespace echelon::report
