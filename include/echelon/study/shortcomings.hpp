#pragma once

#include <span>
#include <string>
#include <vector>

#include <echelon/analysis/study_point.hpp>
#include <echelon/study/plan.hpp>

namespace echelon::study {

/// In what the runs of a study are not what its plan asked for, a sentence each: how many there are, and how precise.
/// Points that failed are not named: their failures are told.
[[nodiscard]] std::vector<std::string> shortcomings(const Plan& plan, std::span<const analysis::StudyPoint> points);

}  // namespace echelon::study
