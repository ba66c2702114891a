#include "study_messages.hpp"

#include <algorithm>
#include <span>

#include <fmt/format.h>

#include <echelon/analysis/labels.hpp>
#include <echelon/analysis/study.hpp>
#include <echelon/report/output_file.hpp>
#include <echelon/report/plural.hpp>
#include <echelon/report/progress.hpp>
#include <echelon/report/study_text.hpp>

#include "app.hpp"
#include "study_folder.hpp"

namespace echelon::cli {
namespace {

using base::ExitCode;
using report::plural;
using study::Plan;
using study::Schedule;

std::string label(const study::Point& point) { return analysis::label(point.ranks, point.threads); }

std::string cost_text(const study::Cost& cost) {
  return fmt::format("{}{}, about {}, {:.3g} core-hours", cost.at_most ? "at most " : "", plural(cost.runs, "run"),
                     report::time_text(cost.wall_s), cost.core_hours);
}

std::string failure_text(const study::Run& run) {
  return fmt::format("run {} ({}{}) failed: {}", run.seq, label({run.ranks, run.threads}),
                     run.attempt == 2 ? ", again" : "", run.error);
}

/// Says what is not as it was to be. False: some points failed, or have no run.
bool tell_shortcomings(const Plan& plan, const std::vector<analysis::StudyPoint>& points,
                       const study::Conclusion& conclusion) {
  if (conclusion.budget_is_spent) {
    std::string note = "note: the budget is spent; ";
    if (conclusion.overrun) {
      note += fmt::format("a run of {} had not ended by then and does not count; ",
                          label(study::points(plan)[*conclusion.overrun]));
    }
    tell(note + "the study ends here, and --resume with a larger --budget goes on");
  }
  std::string given_up;
  for (const std::size_t point : conclusion.given_up) {
    given_up += (given_up.empty() ? "" : ", ") + label(study::points(plan)[point]);
  }
  if (!given_up.empty()) tell("given up: " + given_up);
  const std::string unmeasured =
      analysis::labels(points, [](const analysis::StudyPoint& point) { return point.runs.empty(); });
  if (conclusion.given_up.empty() && !unmeasured.empty()) tell("no measured run: " + unmeasured);
  return conclusion.given_up.empty() && unmeasured.empty();
}

}  // namespace

std::string study_estimate(const Schedule& schedule, std::optional<double> guess_s) {
  const bool any_known =
      std::ranges::any_of(schedule.states(), [](const auto& state) { return !state.elapsed_s.empty(); });
  if (const auto cost = study::cost_left(schedule)) return cost_text(*cost) + " to come, by the runs so far";
  if (const auto cost = study::cost_left(schedule, guess_s)) {
    return cost_text(*cost) +
           fmt::format(" to come, by --guess and ideal scaling{}", any_known ? " where a point has no run yet" : "");
  }
  std::uint64_t runs = 0;
  for (std::size_t point = 0; point < schedule.points().size(); ++point) runs += schedule.runs_left(point);
  return fmt::format("{}{} to come; what they cost is said once each point has run (or give --guess)",
                     schedule.plan().precision ? "at most " : "", plural(runs, "run"));
}

StudyWatcher::StudyWatcher(std::optional<double> guess_s, bool quiet)
    : guess_s_{guess_s}, quiet_{quiet}, line_{has_terminal() && !quiet} {}

void StudyWatcher::update(const Schedule& schedule) {
  const auto cost = study::cost_left(schedule);
  left_s_ = cost ? std::optional{cost->wall_s} : std::nullopt;
  since_ = std::chrono::steady_clock::now();
  const auto next = schedule.next();
  std::uint64_t ended = 0;
  std::uint64_t left = 0;
  for (std::size_t point = 0; point < schedule.points().size(); ++point) {
    const Schedule::PointState& state = schedule.states()[point];
    ended += state.elapsed_s.size() + state.failures;
    left += schedule.runs_left(point);
  }
  text_ = next ? fmt::format("run {} of {}{}, {} {}: {}", ended + 1, schedule.plan().precision ? "at most " : "",
                             ended + left, next->warmup ? "warm-ups" : "block", next->block,
                             label(schedule.points()[next->point]))
               : std::string{};
  // First what is known before any run, then, once, what is known of all points.
  const bool is_known = cost.has_value();
  if (!quiet_ && schedule.next() && (!said_ || (is_known && !said_known_))) {
    line_.clear();
    tell(study_estimate(schedule, guess_s_));
    said_ = true;
    said_known_ = is_known;
  }
  tick();
}

void StudyWatcher::tick() {
  if (text_.empty()) return;
  std::string text = text_;
  if (left_s_) {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - since_;
    text += fmt::format(", {} left", report::time_text(*left_s_ - elapsed.count()));
  }
  line_.update(text);
}

void StudyWatcher::tell_failure(const study::Run& run, bool given_up) {
  line_.clear();
  tell(failure_text(run));
  if (given_up) tell(label({run.ranks, run.threads}) + ": given up after two failures in a row");
}

void tell_study_stopped(const std::vector<study::Run>& runs, const std::string& out) {
  tell(fmt::format("stopped after {}; go on with: echelon study --resume --out {}", plural(runs.size(), "run"), out));
}

ExitCode conclude_study(const Plan& plan, const std::vector<study::Run>& runs, std::size_t runs_before,
                        const study::Conclusion& conclusion, const std::string& out, bool quiet) {
  const report::StudyView view = study_view(plan, runs);
  const std::vector<analysis::StudyPoint>& points = view.points;
  const bool any = std::ranges::any_of(points, [](const auto& point) { return !point.runs.empty(); });
  // The report has the failures, too.
  if (any && !quiet) {
    report::write_output("-", report::study_text(view) + "\n");
  } else {
    for (const study::Run& run : std::span{runs}.first(runs_before)) {
      if (!run.succeeded()) tell(failure_text(run));
    }
  }
  const bool is_whole = tell_shortcomings(plan, points, conclusion);
  const std::string folder = out + "/report";
  (void)write_report(view, folder);
  if (!quiet && any) tell(fmt::format("the whole report: {}/report.html", folder));
  report::write_output("-", out + "\n");
  if (!any) {
    tell("no run succeeded: there is nothing to show");
    return ExitCode::broken;
  }
  return is_whole ? ExitCode::done : ExitCode::tasks_failed;
}

}  // namespace echelon::cli
