#include "study_folder.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include <echelon/analysis/conditions.hpp>
#include <echelon/analysis/study.hpp>
#include <echelon/base/error.hpp>
#include <echelon/report/gnuplot.hpp>
#include <echelon/report/html.hpp>
#include <echelon/report/json.hpp>
#include <echelon/report/output_file.hpp>
#include <echelon/report/paper.hpp>
#include <echelon/report/plural.hpp>
#include <echelon/report/study_text.hpp>
#include <echelon/report/tidy_csv.hpp>
#include <echelon/report/trace.hpp>
#include <echelon/study/command_line.hpp>
#include <echelon/study/merge.hpp>
#include <echelon/study/shortcomings.hpp>
#include <echelon/study/store.hpp>

namespace echelon::cli {
namespace {

namespace fs = std::filesystem;

/// As a shell takes it.
std::string shell_words(std::vector<std::string> words) { return study::shell_text({.argv = std::move(words)}); }

std::string list(const std::vector<std::uint64_t>& counts) { return fmt::format("{}", fmt::join(counts, ",")); }

/// The command that makes a study of this plan.
std::string command_line_of(const study::Plan& plan) {
  const study::Plan usual;
  std::vector<std::string> words{"echelon", "study", "--ranks", list(plan.ranks)};
  const auto add = [&](const char* option, const std::string& value) { words.insert(words.end(), {option, value}); };
  if (plan.threads != usual.threads) add("--threads", list(plan.threads));
  if (plan.precision) {
    add("--precision", fmt::format("{}%", 100 * *plan.precision));
    add("--max-repeat", fmt::format("{}", plan.max_repeat));
  } else {
    add("--repeat", fmt::format("{}", plan.repeat));
  }
  if (plan.budget_s) add("--budget", fmt::format("{}", *plan.budget_s));
  if (plan.warmup != usual.warmup) add("--warmup", fmt::format("{}", plan.warmup));
  if (!plan.weak.empty()) add("--weak", plan.weak);
  if (plan.baseline) add("--baseline", fmt::format("{}", *plan.baseline));
  if (plan.launcher != usual.launcher) add("--launcher", plan.launcher);
  if (plan.seed != usual.seed) add("--seed", fmt::format("{}", plan.seed));
  words.push_back("--");
  words.insert(words.end(), plan.command.begin(), plan.command.end());
  return shell_words(words);
}

/// Of one of several studies: how it was made, and where.
std::string note_of(const study::Kept& kept) {
  std::set<std::string> hosts;
  std::set<std::string> jobs;
  for (const study::Run& run : kept.runs) {
    if (!run.record) {
      hosts.insert(run.host);
      continue;
    }
    hosts.insert(run.record->context.hosts.begin(), run.record->context.hosts.end());
    if (const std::string* job = measure::find(run.record->context.slurm, "SLURM_JOB_ID")) jobs.insert(*job);
  }
  std::string text =
      fmt::format("{}: {}; {}", kept.folder, command_line_of(kept.plan), report::plural(kept.runs.size(), "run"));
  if (!hosts.empty()) text += fmt::format(" on {}", fmt::join(hosts, ", "));
  if (!jobs.empty()) text += fmt::format(", SLURM job {}", fmt::join(jobs, ", "));
  return text;
}

report::StudyRunLine line_of(const study::Run& run, std::size_t point) {
  report::StudyRunLine line;
  line.sequence = run.seq;
  line.point = point;
  line.warmup = run.warmup;
  line.attempt = run.attempt;
  line.started_at = run.started_at;
  line.host = run.host;
  line.time_s = run.succeeded() ? study::time_s(run) : 0;
  line.launch_to_exit_s = run.launch_to_exit_s;
  line.cpu_s = run.cpu_s;
  line.error = run.error;
  return line;
}

/// Of the measured runs that kept a record the one nearest to the median of these.
std::optional<measure::Record> typical_record(const std::vector<const study::Run*>& runs) {
  std::vector<double> times_s;
  for (const study::Run* run : runs) times_s.push_back(study::time_s(*run));
  if (times_s.empty()) return std::nullopt;
  const double median_s = measure::median(times_s);
  const auto distance = [&](const study::Run* run) { return std::abs(study::time_s(*run) - median_s); };
  return (*std::ranges::min_element(runs, {}, distance))->record;
}

void add_new(std::vector<measure::Context>& contexts, const measure::Context& context) {
  const auto is_same = [&](const measure::Context& other) {
    return other.hosts == context.hosts && other.slurm == context.slurm &&
           analysis::conditions(other) == analysis::conditions(context);
  };
  if (std::ranges::none_of(contexts, is_same)) contexts.push_back(context);
}

analysis::StudyOptions options_of(const study::Plan& plan, report::StudyView& view) {
  analysis::StudyOptions options;
  options.scaling = plan.weak.empty() ? analysis::Scaling::strong : analysis::Scaling::weak;
  options.bootstrap.seed = plan.seed;
  const bool has_runs = std::ranges::any_of(view.points, [&](const analysis::StudyPoint& point) {
    return point.ranks == plan.baseline && !point.runs.empty();
  });
  if (has_runs) {
    options.baseline_ranks = plan.baseline;
  } else if (plan.baseline) {
    view.notes.push_back(fmt::format("the baseline, {}, has no run: speedup is against the smallest point that has",
                                     analysis::label(*plan.baseline, 1)));
  }
  return options;
}

}  // namespace

report::StudyView study_view(const study::Plan& plan, const std::vector<study::Run>& runs) {
  report::StudyView view;
  view.title = shell_words(plan.command);
  view.command_line = command_line_of(plan);
  view.weak = plan.weak;
  view.points = study::study_points(plan, runs);
  const std::vector<study::Point> points = study::points(plan);
  std::vector<std::vector<const study::Run*>> recorded(points.size());
  for (const study::Run& run : runs) {
    const auto found = std::ranges::find(points, study::Point{run.ranks, run.threads});
    if (found == points.end()) continue;
    const auto point = static_cast<std::size_t>(found - points.begin());
    view.runs.push_back(line_of(run, point));
    if (!run.succeeded() || run.warmup || !run.record) continue;
    recorded[point].push_back(&run);
    add_new(view.contexts, run.record->context);
  }
  for (const auto& of_point : recorded) view.records.push_back(typical_record(of_point));
  std::set<std::string> nodes;
  for (const study::Run& run : runs) nodes.insert(run.allocation.begin(), run.allocation.end());
  if (view.contexts.empty() && !nodes.empty()) {
    constexpr std::size_t most_named = 8;
    view.notes.push_back("the nodes of the SLURM job: " +
                         (nodes.size() > most_named ? fmt::format("{} and {} more", *nodes.begin(), nodes.size() - 1)
                                                    : fmt::format("{}", fmt::join(nodes, ", "))));
  }
  view.study = analysis::analyse(view.points, options_of(plan, view));
  std::vector<std::string>& warnings = view.study.warnings;
  if (const std::string differing = analysis::differing(view.contexts); !differing.empty()) {
    warnings.insert(
        warnings.begin(),
        fmt::format("runs differ in {}: their times are not repetitions of the same; run the study again on "
                    "one machine, with one build",
                    differing));
  }
  for (std::string& text : study::shortcomings(plan, view.points)) warnings.push_back(std::move(text));
  return view;
}

report::StudyView read_study(const std::vector<std::string>& folders) {
  std::vector<study::Kept> studies;
  for (const std::string& folder : folders) {
    if (!study::Store::has_study(folder)) {
      throw base::UsageError(fmt::format("'{}' has no study; give a folder that echelon study wrote", folder));
    }
    for (const study::Kept& other : studies) {
      if (!fs::equivalent(folder, other.folder)) continue;
      throw base::UsageError(fmt::format("'{}' is given twice; give each study once", folder));
    }
    studies.push_back({folder, study::Store::read_plan(folder), study::read_runs(folder, report::from_json)});
  }
  std::vector<std::string> notes;
  if (studies.size() > 1) {
    for (const study::Kept& kept : studies) notes.push_back(note_of(kept));
  }
  const study::Kept merged = study::merge(std::move(studies));
  report::StudyView view = study_view(merged.plan, merged.runs);
  if (folders.size() == 1) return view;
  std::vector<std::string> words{"echelon", "report"};
  words.insert(words.end(), folders.begin(), folders.end());
  view.command_line = shell_words(words);
  view.notes.insert(view.notes.begin(), notes.begin(), notes.end());
  return view;
}

std::vector<std::string> write_report(const report::StudyView& view, const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw base::UsageError(fmt::format("--out: cannot make the folder '{}': {}", folder, error.message()));
  const std::string markdown = report::study_markdown(view);
  const std::string latex = report::study_latex(view);
  std::vector<std::pair<std::string, std::string>> files{{"report.html", report::study_html(view, markdown, latex)},
                                                         {"report.txt", report::study_text(view)},
                                                         {"table.md", markdown},
                                                         {"table.tex", latex},
                                                         {"tidy.csv", report::tidy_csv(view)},
                                                         {"ranks.csv", report::ranks_csv(view)}};
  if (view.study.baseline) {
    files.emplace_back("figures.gp", report::figures_gp(view));
    files.emplace_back("figures.dat", report::figures_dat(view));
  }
  // Of the most ranks, where phases differ most.
  for (auto row = view.study.rows.rbegin(); row != view.study.rows.rend(); ++row) {
    if (!view.records[row->point]) continue;
    files.emplace_back("trace.json", report::chrome_trace(*view.records[row->point]));
    break;
  }
  std::vector<std::string> names;
  report::check_output((fs::path{folder} / files.front().first).string());
  for (const auto& [name, text] : files) {
    report::write_output((fs::path{folder} / name).string(), text);
    names.push_back(name);
  }
  return names;
}

}  // namespace echelon::cli
