#pragma once

#include <string>

#include <echelon/report/study_view.hpp>

namespace echelon::report {

/// What the script reads, tables apart by two empty lines: first the points' medians with their intervals (of no width
/// where there is none), then for each model its curve with the interval of a further point. NaN: unknown.
[[nodiscard]] std::string figures_dat(const StudyView& view);

/// A gnuplot script: `gnuplot figures.gp`, beside figures.dat, writes time, speedup and efficiency as .svg and, where
/// this gnuplot can, .pdf.
[[nodiscard]] std::string figures_gp(const StudyView& view);

}  // namespace echelon::report
