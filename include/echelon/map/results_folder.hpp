#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace echelon::map {

/// The folder of one task's output under `--results DIR`: DIR/1/VALUE/2/VALUE, with `\\`, `\_` and `\t` for backslash,
/// slash and tab, as in GNU parallel. Two kinds of values have names of their own, where GNU parallel would write over
/// the files of other tasks or leave DIR: `.` and `..` are `\.` and `\..`, and a name longer than a file system takes
/// keeps its beginning and ends in `\` and a hash of all of it.
[[nodiscard]] std::filesystem::path results_path(const std::filesystem::path& dir,
                                                 const std::vector<std::string>& values);

/// Bytes [offset, offset + size) of an open file, read as they are copied.
struct FilePart {
  int descriptor = -1;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

/// Writes tasks' output to files of their own. A file has its name once it is whole, and not before. Throws
/// std::system_error with the path and the reason, of a full disk for one.
class ResultsFolder {
 public:
  /// Makes the folder. Throws UsageError where it cannot.
  explicit ResultsFolder(std::filesystem::path dir);

  /// stdout, stderr and seq of one task; `number` from 1. The files of an earlier run are replaced.
  void write(const std::vector<std::string>& values, std::uint64_t number, std::string_view output,
             std::string_view errors) const;
  void write(const std::vector<std::string>& values, std::uint64_t number, const FilePart& output,
             const FilePart& errors) const;

 private:
  std::filesystem::path dir_;
};

}  // namespace echelon::map
