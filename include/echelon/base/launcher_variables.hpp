#pragma once

#include <string_view>

namespace echelon::base {

/// In the ranks of a launch that announces it: the names of those variables of its user that is_of_launchers() holds
/// for, with user_variables_separator between them. All others of these come from launchers.
inline constexpr const char* user_variables = "ECHELON_USER_VARIABLES";
inline constexpr char user_variables_separator = '=';  // no name holds it

/// An environment variable by which MPI launchers, or ours, tell the ranks that they start, or their users tell them.
[[nodiscard]] bool is_of_launchers(std::string_view name);

}  // namespace echelon::base
