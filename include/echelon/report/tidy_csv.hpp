#pragma once

#include <string>

#include <echelon/report/study_view.hpp>

namespace echelon::report {

/// A header line and a line a run, in the order of runs, warm-ups and failed ones too: RFC 4180 with line feeds, as
/// R, pandas and spreadsheets read it. What is unknown, or is of a run that failed, is an empty cell. startup_s is
/// that of measured runs with a record.
[[nodiscard]] std::string tidy_csv(const StudyView& view);

/// A line a rank of each point's record, by points: what to_csv() says of it, without the command's parameters.
[[nodiscard]] std::string ranks_csv(const StudyView& view);

}  // namespace echelon::report
