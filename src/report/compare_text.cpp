#include <algorithm>

#include <fmt/format.h>

#include <echelon/analysis/speedup.hpp>
#include <echelon/report/compare_text.hpp>
#include <echelon/report/table.hpp>

#include "printable.hpp"
#include "study_words.hpp"

namespace echelon::report {
namespace {

using analysis::Difference;
using analysis::PointComparison;
using enum Table::Align;

std::string verdict(const PointComparison& point) {
  switch (point.difference) {
    case Difference::faster: return fmt::format("B is faster, by {:.1f} %", 100 * (1 - point.ratio->value));
    case Difference::slower: return fmt::format("B is slower, by {:.1f} %", 100 * (point.ratio->value - 1));
    case Difference::none_shown: return "no difference that these runs show";
    case Difference::too_few_runs: break;
  }
  if (point.first_runs == 0 || point.second_runs == 0) return "no runs to compare";
  return "too few runs";
}

std::string seconds_of(const std::optional<double>& time_s) {
  return time_s ? fmt::format("{:.{}f}", *time_s, decimals_of_four_digits(*time_s)) : "-";
}

std::string p_text(const std::optional<double>& p_value) {
  if (!p_value) return "-";
  return *p_value < 0.001 ? "<0.001" : fmt::format("{:.3f}", *p_value);
}

std::string only(std::string_view study, const std::vector<analysis::Layout>& layouts) {
  if (layouts.empty()) return "";
  std::vector<std::string> labels;
  labels.reserve(layouts.size());
  for (const analysis::Layout& layout : layouts) labels.push_back(analysis::label(layout.ranks, layout.threads));
  return wrapped(fmt::format("only {} has {}", study, fmt::join(labels, ", ")), text_width, "  ") + '\n';
}

bool is_tested(const PointComparison& point) { return point.p_value.has_value(); }

}  // namespace

std::string compare_text(const analysis::Comparison& comparison, std::string_view first_name,
                         std::string_view second_name, std::string_view differing) {
  const std::string percent = fmt::format("{:.3g} %", 100 * comparison.confidence);
  std::string text = fmt::format("A: {}\nB: {}\n", printable(first_name), printable(second_name));
  if (!differing.empty()) {
    text += wrapped(fmt::format("runs differ in {}", printable(differing)), text_width, "  ") + '\n';
  }
  if (comparison.points.empty()) {
    text += "\nthe studies have no point in common\n";
  } else {
    Table table{{{"ranks"},
                 {"threads"},
                 {"n A"},
                 {"n B"},
                 {"A s"},
                 {"B s"},
                 {fmt::format("B / A [{} CI]", percent), left},
                 {"p"},
                 {"verdict", left}}};
    for (const PointComparison& point : comparison.points) {
      table.add({fmt::format("{}", point.ranks), fmt::format("{}", point.threads), fmt::format("{}", point.first_runs),
                 fmt::format("{}", point.second_runs), seconds_of(point.first_s), seconds_of(point.second_s),
                 with_interval(point.ratio, 3), p_text(point.p_value), verdict(point)});
    }
    text += '\n' + table.text();
  }
  if (!comparison.only_first.empty() || !comparison.only_second.empty()) text += '\n';
  text += only("A", comparison.only_first) + only("B", comparison.only_second);
  const auto tested = std::ranges::count_if(comparison.points, is_tested);
  if (tested > 0) {
    text += '\n' +
            wrapped(fmt::format("Times are medians, and intervals those of their ratio, of each point alone. p is "
                                "corrected for {} by Holm's method: where nothing differs, all verdicts together are "
                                "right with {}. What changed on the machine from one study to the other is in the "
                                "ratio, too.",
                                tested == 1 ? "one point" : fmt::format("{} points", tested), percent),
                    text_width, "") +
            '\n';
  }
  const bool any_few = std::ranges::any_of(
      comparison.points, [](const PointComparison& point) { return point.difference == Difference::too_few_runs; });
  if (any_few) {
    text +=
        fmt::format("A verdict needs {} runs of a point in both studies{}.\n", comparison.runs_for_verdict,
                    comparison.runs_for_verdict == analysis::fewest_for_interval ? "" : ", as so many are compared");
  }
  return text;
}

}  // namespace echelon::report
