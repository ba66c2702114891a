#include <fmt/format.h>

#include <echelon/analysis/labels.hpp>
#include <echelon/analysis/precision.hpp>
#include <echelon/analysis/speedup.hpp>
#include <echelon/study/shortcomings.hpp>

namespace echelon::study {
namespace {

bool is_wide(const Plan& plan, const analysis::StudyPoint& point) {
  std::vector<double> times_s;
  for (const analysis::StudyRun& run : point.runs) times_s.push_back(run.time_s);
  if (times_s.size() < analysis::fewest_for_interval) return false;
  const auto found = analysis::precision(times_s, {.target = *plan.precision, .most = plan.max_repeat});
  return found.relative_half_width.value_or(0) > *plan.precision;
}

}  // namespace

std::vector<std::string> shortcomings(const Plan& plan, std::span<const analysis::StudyPoint> points) {
  std::vector<std::string> found;
  const std::uint64_t fewest = plan.precision ? analysis::fewest_for_interval : plan.repeat;
  const std::string fewer =
      analysis::labels(points, [&](const auto& point) { return point.failures == 0 && point.runs.size() < fewest; });
  if (!fewer.empty()) {
    found.push_back(fmt::format("fewer runs than planned at {}: the study {}; echelon study --resume goes on", fewer,
                                plan.budget_s ? "has not ended, or its budget is spent" : "has not ended"));
  }
  if (!plan.precision) return found;
  const std::string wide =
      analysis::labels(points, [&](const auto& point) { return point.failures == 0 && is_wide(plan, point); });
  if (!wide.empty()) {
    found.push_back(fmt::format(
        "not as precise as planned at {}: the interval of the median reaches further than {:.3g} % from it; "
        "allow more runs",
        wide, 100 * *plan.precision));
  }
  return found;
}

}  // namespace echelon::study
