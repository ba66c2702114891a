#pragma once

#include <string>

#include <echelon/report/study_view.hpp>

namespace echelon::report {

/// The whole report of a study for a terminal: what was measured, times and what follows from them, where the time
/// goes, models and what they predict, what looks wrong, and runs that failed.
[[nodiscard]] std::string study_text(const StudyView& view);

}  // namespace echelon::report
