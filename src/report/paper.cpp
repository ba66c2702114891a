#include <algorithm>
#include <array>
#include <functional>

#include <fmt/format.h>

#include <echelon/report/paper.hpp>

#include "printable.hpp"
#include "study_words.hpp"

namespace echelon::report {
namespace {

using Escape = std::function<std::string(std::string_view)>;

struct Markup {
  Escape text;
  Escape code;  ///< in typewriter letters
};

std::string escaped_markdown(std::string_view text) {
  constexpr std::string_view special = "\\`*_{}[]<>#|~&";
  std::string result;
  for (const char c : printable(text)) {
    if (special.find(c) != std::string_view::npos) result += '\\';
    result += c;
  }
  return result;
}

/// Between more backticks than stand together in the text.
std::string markdown_code(std::string_view text) {
  const std::string shown = printable(text);
  std::size_t most = 0;
  std::size_t together = 0;
  for (const char c : shown) {
    together = c == '`' ? together + 1 : 0;
    most = std::max(most, together);
  }
  const std::string fence(most + 1, '`');
  const char* blank = shown.starts_with('`') || shown.ends_with('`') ? " " : "";
  return fence + blank + shown + blank + fence;
}

std::string escaped_latex(std::string_view text) {
  std::string result;
  char previous = ' ';
  for (const char c : printable(text)) {
    // Two of them together would be one longer dash or another quotation mark.
    if (c == previous && (c == '-' || c == '\'' || c == '`')) result += "{}";
    previous = c;
    switch (c) {
      case '\\': result += "\\textbackslash{}"; break;
      case '^': result += "\\textasciicircum{}"; break;
      case '~': result += "\\textasciitilde{}"; break;
      case '<': result += "\\textless{}"; break;
      case '>': result += "\\textgreater{}"; break;
      case '|': result += "\\textbar{}"; break;
      case '{':
      case '}':
      case '$':
      case '&':
      case '#':
      case '_':
      case '%': result += '\\'; [[fallthrough]];
      default: result += c;
    }
  }
  return result;
}

std::string latex_code(std::string_view text) { return "\\texttt{" + escaped_latex(text) + "}"; }

bool has_too_few_runs(const analysis::StudyRow& row) {
  return row.repetitions > 0 && row.repetitions < analysis::fewest_for_interval;
}

std::string caption(const StudyView& view, const Markup& markup) {
  std::string text = fmt::format("{} of {}.", markup.text(scaling_words(view)), markup.code(view.title));
  const auto add = [&](const std::string& sentence) { text += ' ' + markup.text(sentence); };
  const std::string percent = confidence_percent(view.study);
  const auto baseline = baseline_words(view);
  add(fmt::format("Median {} in seconds, {}.", time_words(view), repetition_words(view)));
  if (baseline) {
    add(fmt::format("Speedup and efficiency are ratios of medians against {} of the same program.", *baseline));
  }
  add(fmt::format(
      "In brackets: {} % confidence intervals; of the time by order statistics, distribution-free, of the ratios by a "
      "joint percentile bootstrap.",
      percent));
  if (std::ranges::any_of(view.study.rows, has_too_few_runs)) {
    add(fmt::format("Of fewer than {} runs there are none.", analysis::fewest_for_interval));
  }
  add("LB and CommE: POP's load balance and communication efficiency, ratios of medians. Node-hours are those of one "
      "run.");
  if (const std::string failed = failed_points(view); !failed.empty()) add("No run succeeded of: " + failed + ".");
  if (const std::string machine = machine_words(view); !machine.empty()) add("Machine: " + machine + ".");
  if (const std::string software = software_words(view); !software.empty()) add("Software: " + software + ".");
  return text;
}

constexpr std::size_t column_count = 10;
using Cells = std::array<std::string, column_count>;

Cells head(const StudyView& view) {
  const std::string interval = fmt::format(" [{} % CI]", confidence_percent(view.study));
  return {"Nodes", "Ranks", "Threads",   "n", "Wall time (s)" + interval, "Speedup" + interval, "Efficiency" + interval,
          "LB",    "CommE", "Node-hours"};
}

Cells cells(const analysis::StudyRow& row) {
  const auto ratio = [](const analysis::Estimate& estimate) { return fmt::format("{:.3f}", estimate.value); };
  return {fmt::format("{}", row.nodes),
          fmt::format("{}", row.ranks),
          fmt::format("{}", row.threads),
          fmt::format("{}", row.repetitions),
          time_with_interval(row.time_s),
          with_interval(speedup_of(row), 2),
          with_interval(efficiency_of(row), 3),
          row.pop ? ratio(row.pop->load_balance) : "-",
          row.pop ? ratio(row.pop->communication) : "-",
          row.node_hours ? fmt::format("{:.3g}", *row.node_hours) : "-"};
}

}  // namespace

std::string study_markdown(const StudyView& view) {
  const auto line = [](const Cells& cells) { return fmt::format("| {} |\n", fmt::join(cells, " | ")); };
  Cells titles = head(view);
  std::ranges::transform(titles, titles.begin(), escaped_markdown);
  std::string text = caption(view, {escaped_markdown, markdown_code}) + "\n\n" + line(titles);
  Cells rule;
  rule.fill("---:");
  text += line(rule);
  for (const analysis::StudyRow& row : view.study.rows) text += line(cells(row));
  return text;
}

std::string study_latex(const StudyView& view) {
  const auto line = [](const Cells& cells) { return fmt::format("    {} \\\\\n", fmt::join(cells, " & ")); };
  Cells titles = head(view);
  std::ranges::transform(titles, titles.begin(), escaped_latex);
  std::string text = "\\begin{table}\n  \\centering\n  \\footnotesize\n";
  text += fmt::format("  \\caption{{{}}}\n", caption(view, {escaped_latex, latex_code}));
  text += "  \\label{tab:scaling}\n  \\begin{tabular}{rrrrlllrrr}\n    \\hline\n";
  text += line(titles) + "    \\hline\n";
  for (const analysis::StudyRow& row : view.study.rows) text += line(cells(row));
  return text + "    \\hline\n  \\end{tabular}\n\\end{table}\n";
}

}  // namespace echelon::report
