#pragma once

#include <span>
#include <string>
#include <vector>

#include <echelon/analysis/study.hpp>

namespace echelon::analysis {

/// What makes a study's figures doubtful, a sentence each: what was seen, why it matters, what to do.
[[nodiscard]] std::vector<std::string> study_warnings(std::span<const StudyPoint> points,
                                                      std::span<const StudyRow> rows);

}  // namespace echelon::analysis
