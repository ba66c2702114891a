#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <echelon/analysis/estimate.hpp>
#include <echelon/report/study_view.hpp>

namespace echelon::report {

/// "4.000 [3.900, 4.100]", all with the same decimals; without its interval, the value alone; nothing: "-".
[[nodiscard]] std::string with_interval(const std::optional<analysis::Estimate>& estimate, int decimals);
/// Seconds, with so many decimals that the value has four digits.
[[nodiscard]] std::string time_with_interval(const std::optional<analysis::Estimate>& time_s);
[[nodiscard]] int decimals_of_four_digits(double value) noexcept;
/// "[3.9, 4.1]"; "[3.9, -]" where there is no upper end.
[[nodiscard]] std::string interval_text(const analysis::Interval& interval, int decimals);

[[nodiscard]] std::optional<analysis::Estimate> speedup_of(const analysis::StudyRow& row);
[[nodiscard]] std::optional<analysis::Estimate> efficiency_of(const analysis::StudyRow& row);

/// The confidence that was asked for, in %: "95".
[[nodiscard]] std::string confidence_percent(const analysis::Study& study);
/// "Strong scaling", or "Weak scaling (work: 1e8*p)".
[[nodiscard]] std::string scaling_words(const StudyView& view);
/// "1 rank on 1 node (8.000 s)"; none without a baseline.
[[nodiscard]] std::optional<std::string> baseline_words(const StudyView& view);
/// "n = 10 runs a point" or "n = 6 to 10 runs a point".
[[nodiscard]] std::string repetition_words(const StudyView& view);
/// "wall time from launch to exit" or "wall time without startup".
[[nodiscard]] std::string_view time_words(const StudyView& view);
/// "node1, node2: CPU model; SLURM partition" as far as it is known; empty where nothing is.
[[nodiscard]] std::string machine_words(const StudyView& view);
[[nodiscard]] std::string software_words(const StudyView& view);
/// Points of which no run succeeded: "8 ranks, 16 ranks".
[[nodiscard]] std::string failed_points(const StudyView& view);

/// Of what is said in sentences.
inline constexpr std::size_t text_width = 110;

/// Cut at blanks into lines of at most `width` bytes, where words allow; all but the first begin with `indent`.
[[nodiscard]] std::string wrapped(std::string_view text, std::size_t width, std::string_view indent);

}  // namespace echelon::report
