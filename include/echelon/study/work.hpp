#pragma once

#include <string>

#include <echelon/study/plan.hpp>

namespace echelon::study {

/// The value of a weak-scaling function at a point, as it is put into the command: whole numbers without exponent. It
/// may use p (processors), ranks and threads, and what muParser knows: + - * / ^, sqrt, log2, rint and others. Throws
/// base::UsageError where it is wrong, or not positive and finite there.
[[nodiscard]] std::string work(const std::string& function, const Point& point);

}  // namespace echelon::study
