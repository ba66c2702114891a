#pragma once

#include <string>
#include <string_view>

#include <echelon/analysis/compare.hpp>

namespace echelon::report {

/// A line a point: both medians, the ratio with its interval, the corrected p-value and the verdict in words; then
/// points that only one study has, and how verdicts were found. `differing`: as analysis::differing() has it, of the
/// runs of both.
[[nodiscard]] std::string compare_text(const analysis::Comparison& comparison, std::string_view first_name,
                                       std::string_view second_name, std::string_view differing = "");

}  // namespace echelon::report
