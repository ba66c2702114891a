#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace echelon::command {

/// The argv of a command line that needs no shell: what `/bin/sh -c LINE` would hand to the one program that it names,
/// argument for argument. Nothing where a shell is needed, or might be: operators, expansions, patterns, tildes,
/// assignments, comments, a newline outside quotes, reserved words and everything that a shell has built in (no time is
/// lost by that: the shell runs those without a further process).
[[nodiscard]] std::optional<std::vector<std::string>> words(std::string_view line);

/// `value` as one word of a shell's, in GNU parallel's style: as it is where no character means anything to a shell,
/// otherwise in single quotes. @pre value has no NUL
[[nodiscard]] std::string quoted(std::string_view value);
/// Where <iomanip> is known, std::quoted would be taken for a string otherwise.
[[nodiscard]] inline std::string quoted(const std::string& value) { return quoted(std::string_view{value}); }
[[nodiscard]] inline std::string quoted(const char* value) { return quoted(std::string_view{value}); }

}  // namespace echelon::command
