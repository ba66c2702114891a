#include <algorithm>
#include <iterator>
#include <set>

#include <fmt/format.h>

#include <echelon/base/error.hpp>
#include <echelon/study/merge.hpp>

namespace echelon::study {
namespace {

/// What speedup needs to be the same.
Plan work_of(const Plan& plan) {
  Plan work;
  work.threads = plan.threads;
  work.weak = plan.weak;
  work.command = plan.command;
  return work;
}

}  // namespace

Kept merge(std::vector<Kept> studies) {
  Kept merged = std::move(studies.front());
  if (studies.size() == 1) return merged;
  std::set<std::uint64_t> ranks{merged.plan.ranks.begin(), merged.plan.ranks.end()};
  const auto name_failures = [](Kept& study) {
    for (Run& run : study.runs) {
      if (!run.succeeded()) run.error = fmt::format("{}, run {}: {}", study.folder, run.seq, run.error);
    }
  };
  name_failures(merged);
  for (auto study = std::next(studies.begin()); study != studies.end(); ++study) {
    const std::string differs =
        difference(work_of(merged.plan), work_of(study->plan), fmt::format("in '{}'", merged.folder),
                   fmt::format("in '{}'", study->folder));
    if (!differs.empty()) {
      throw base::UsageError(
          fmt::format("studies of other work make no report together: {}; give one of them, or compare two with "
                      "echelon compare",
                      differs));
    }
    ranks.insert(study->plan.ranks.begin(), study->plan.ranks.end());
    // What all of them were to have.
    merged.plan.repeat = std::min(merged.plan.repeat, study->plan.repeat);
    if (!study->plan.precision || !merged.plan.precision) {
      merged.plan.precision.reset();
    } else {
      merged.plan.precision = std::max(*merged.plan.precision, *study->plan.precision);
    }
    // Only the study that has a point can have it for a baseline.
    if (!merged.plan.baseline) merged.plan.baseline = study->plan.baseline;
    name_failures(*study);
    std::ranges::move(study->runs, std::back_inserter(merged.runs));
  }
  merged.plan.ranks.assign(ranks.begin(), ranks.end());
  std::ranges::stable_sort(merged.runs, {}, &Run::started_at);  // the text of a time sorts as the time does
  std::uint64_t seq = 0;
  for (Run& run : merged.runs) run.seq = ++seq;
  return merged;
}

}  // namespace echelon::study
