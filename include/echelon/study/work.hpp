#pragma once

#include <string>

#include <echelon/study/plan.hpp>

namespace echelon::study {

/// The value of a weak-scaling function at a point. It may use p (processors), ranks and threads, and what muParser
/// knows: + - * / ^, sqrt, log2, rint and others. Throws base::UsageError where it is wrong, or not positive and finite
/// there.
[[nodiscard]] double work(const std::string& function, const Point& point);

/// The same, as it is put into the command: whole numbers without exponent.
[[nodiscard]] std::string work_text(const std::string& function, const Point& point);

}  // namespace echelon::study
