#pragma once

#include <string>
#include <string_view>

namespace echelon::report {

/// Finds out, before the work, whether a file can be written at `path`, without leaving or changing one. Throws
/// base::UsageError where not. "-" is standard output.
void check_output(const std::string& path);

/// Writes a file that is there whole or not at all (but for "-" and devices). Throws std::runtime_error, as on a full
/// disk.
void write_output(const std::string& path, std::string_view text);

}  // namespace echelon::report
