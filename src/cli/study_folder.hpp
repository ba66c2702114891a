#pragma once

#include <string>
#include <vector>

#include <echelon/report/study_view.hpp>
#include <echelon/study/plan.hpp>
#include <echelon/study/run.hpp>

namespace echelon::cli {

/// The study in a folder, which may still be going on, analysed; of several folders as one. Throws base::UsageError
/// where there is none, or where they are of different work.
[[nodiscard]] report::StudyView read_study(const std::vector<std::string>& folders);

[[nodiscard]] report::StudyView study_view(const study::Plan& plan, const std::vector<study::Run>& runs);

/// Makes the folder, where it is not there, and writes every view of a study into it: tables, data, figures and a
/// trace. The names of what was written. Throws base::UsageError where it cannot be written to.
std::vector<std::string> write_report(const report::StudyView& view, const std::string& folder);

}  // namespace echelon::cli
