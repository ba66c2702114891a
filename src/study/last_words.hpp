#pragma once

#include <string>

namespace echelon::study {

/// The last lines of standard error, as far as they say something of the program's: what launchers add to its status
/// only where there is nothing else.
[[nodiscard]] std::string last_words(const std::string& err_file);

}  // namespace echelon::study
