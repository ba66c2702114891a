#pragma once

#include <string>

#include <fmt/format.h>

namespace echelon::report {

/// Six decimals for what is below a millisecond, so that a short phase is not shown as nothing.
inline std::string seconds(double value) { return fmt::format("{:.{}f}", value, value < 0.001 && value > 0 ? 6 : 4); }

}  // namespace echelon::report
