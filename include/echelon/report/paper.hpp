#pragma once

#include <string>

#include <echelon/report/study_view.hpp>

namespace echelon::report {

/// The study's table to paste into a paper or a proposal, with a caption that says all that its figures need: what
/// scales and how, the baseline in seconds, the intervals' method, the repetitions, machine and software.
[[nodiscard]] std::string study_markdown(const StudyView& view);

/// The same for LaTeX: a table environment that needs no package.
[[nodiscard]] std::string study_latex(const StudyView& view);

}  // namespace echelon::report
