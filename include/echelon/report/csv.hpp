#pragma once

#include <string>

#include <echelon/measure/record.hpp>

namespace echelon::report {

/// A header line and a line a rank: the run's start and parameters, then the rank's record. RFC 4180 quoting, with line
/// feeds; files of several runs of one command can be put together.
[[nodiscard]] std::string to_csv(const measure::Record& record);

}  // namespace echelon::report
