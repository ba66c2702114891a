#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <echelon/base/error.hpp>
#include <echelon/report/progress.hpp>
#include <echelon/study/conduct.hpp>

namespace echelon::cli {

/// What is to come of a study, and from what that is known.
[[nodiscard]] std::string study_estimate(const study::Schedule& schedule, std::optional<double> guess_s);

/// Shows how far a study is, and what it will cost: as soon as something is known, and once more when all points have
/// run.
class StudyWatcher {
 public:
  StudyWatcher(std::optional<double> guess_s, bool quiet);

  /// A run has ended, or the study begins.
  void update(const study::Schedule& schedule);
  /// About a second has gone by.
  void tick();
  void tell_failure(const study::Run& run, bool given_up);
  void clear() { line_.clear(); }

 private:
  std::optional<double> guess_s_;
  bool quiet_;
  report::ProgressLine line_;
  bool said_ = false;        // what is to come
  bool said_known_ = false;  // by runs of all points
  std::string text_;
  std::optional<double> left_s_;
  std::chrono::steady_clock::time_point since_;
};

/// A study that is to be resumed.
void tell_study_stopped(const std::vector<study::Run>& runs, const std::string& out);

/// Shows what a study has found, and what went wrong; the exit code follows. The first `runs_before` runs were there
/// before: what failed of the others is told already.
[[nodiscard]] base::ExitCode conclude_study(const study::Plan& plan, const std::vector<study::Run>& runs,
                                            std::size_t runs_before, const study::Conclusion& conclusion,
                                            const std::string& out, bool quiet);

}  // namespace echelon::cli
