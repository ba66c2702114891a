#pragma once

#include <string>
#include <string_view>

#include <echelon/measure/record.hpp>

namespace echelon::report {

/// One JSON object, indented, ending in a newline; numbers with all their digits.
[[nodiscard]] std::string to_json(const measure::Record& record);

/// Reads what to_json() wrote; members that it does not know are ignored. Throws std::runtime_error, saying what is
/// wrong, on anything that is not a record of this schema.
[[nodiscard]] measure::Record from_json(std::string_view text);

}  // namespace echelon::report
