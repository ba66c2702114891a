#pragma once

#include <string>

#include <unistd.h>

#include "support/run_program.hpp"

namespace echelon::test {

/// Debian's, for which NumPy is installed, where there may be others.
inline std::string python() { return access("/usr/bin/python3", X_OK) == 0 ? "/usr/bin/python3" : "python3"; }

inline bool has_numpy() { return run_program({python(), "-c", "import numpy"}).exit_code == 0; }

}  // namespace echelon::test
