#pragma once

#include <string>
#include <vector>

#include <echelon/report/study_view.hpp>

namespace echelon::report {

/// What a study found, in sentences: the best speedup and its efficiency; how far efficiency stays acceptable; what
/// costs most; what the preferred model says. One that says so where no run succeeded.
[[nodiscard]] std::vector<std::string> summary(const StudyView& view);

}  // namespace echelon::report
