#pragma once

#include <filesystem>
#include <string>

#include "support/shell.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {

/// Whether the GNU parallel that is installed names the folder of a value in --results as this project does, and as
/// that of Debian 12 (20221122) does. That of Debian 13 (20240222) has +z for a slash, for instance.
[[nodiscard]] inline bool names_results_alike(const std::string& value) {
  static const bool always = [] {
    const TemporaryFolder folder;
    (void)output_of_shell("cd '" + folder.path().string() + "' && parallel --will-cite --results r true ::: a/b 2>&1");
    return std::filesystem::exists(folder.path() / "r/1/a\\_b");
  }();
  return always || (!value.empty() && value.find_first_of("/\\\t+") == std::string::npos);
}

}  // namespace echelon::test
