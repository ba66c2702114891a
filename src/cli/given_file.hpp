#pragma once

#include <string>

namespace echelon::cli {

/// Opens what only this process can open, or what can be read but once: a descriptor of its own by name (/dev/stdin,
/// /dev/fd/63), a pipe, a device. -1: it is an ordinary file, or not there, which any process can see. `flags` are
/// open()'s. Throws base::UsageError, without the option's name, where it cannot be opened.
[[nodiscard]] int open_given_file(const std::string& path, int flags);

/// It is what open_given_file() leaves to others.
[[nodiscard]] bool is_ordinary_file(const std::string& path);

/// The path is one of those of standard input.
[[nodiscard]] bool names_standard_input(const std::string& path);

}  // namespace echelon::cli
