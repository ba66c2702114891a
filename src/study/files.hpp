#pragma once

#include <string>
#include <string_view>

#include <echelon/base/files.hpp>

namespace echelon::study {

/// A file whose name comes to it when it is whole and on the disk; with its folder's entry when this returns. Throws
/// std::runtime_error.
void write_durably(const std::string& path, std::string_view text);
/// Throws std::runtime_error, saying why not.
[[nodiscard]] std::string read_file(const std::string& path);
/// Of a file the end, at most so many bytes; empty where it cannot be read.
[[nodiscard]] std::string read_tail(const std::string& path, std::size_t most_bytes);
/// Takes the file, which is made, for this process alone until it is closed; not open where another has it. A file
/// system without locks gives it to anyone.
[[nodiscard]] base::Descriptor lock_file(const std::string& path);

}  // namespace echelon::study
