#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/stat.h>

#include "map/output.hpp"
#include "map/spool.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {

/// Where temporary files go for as long as this lives; a folder of its own unless one is named.
class TemporaryPlace {
 public:
  explicit TemporaryPlace(const std::optional<std::string>& path = std::nullopt) {
    if (const char* const before = std::getenv("TMPDIR")) before_ = before;
    setenv("TMPDIR", path ? path->c_str() : folder_.path().c_str(), 1);
  }
  ~TemporaryPlace() { before_ ? setenv("TMPDIR", before_->c_str(), 1) : unsetenv("TMPDIR"); }
  TemporaryPlace(const TemporaryPlace&) = delete;
  TemporaryPlace& operator=(const TemporaryPlace&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return folder_.path(); }
  /// What files take there that this process has open, and that have no name.
  [[nodiscard]] std::uint64_t disk_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) {
      std::error_code closed;
      const std::string target = std::filesystem::read_symlink(entry.path(), closed);
      struct stat status {};
      if (!target.starts_with(path().string() + "/") || stat(entry.path().c_str(), &status) != 0) continue;
      bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
    }
    return bytes;
  }

 private:
  TemporaryFolder folder_;
  std::optional<std::string> before_;
};

[[nodiscard]] inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}
[[nodiscard]] inline std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

[[nodiscard]] inline map::Output in_memory(std::string_view output, std::string_view errors = {}) {
  std::vector<std::byte> all;
  for (const auto part : {bytes_of(output), bytes_of(errors)}) all.insert(all.end(), part.begin(), part.end());
  return {std::move(all), output.size()};
}

[[nodiscard]] inline map::Output in_files(std::string_view output, std::string_view errors = {}) {
  map::Spool first;
  map::Spool second;
  first.append(bytes_of(output));
  second.append(bytes_of(errors));
  return {std::move(first), output.size(), std::move(second), errors.size()};
}

/// The text of the error that the call ends in.
template <typename Error = std::runtime_error, typename Call>
[[nodiscard]] std::string error_of(Call call) {
  try {
    call();
  } catch (const Error& e) {
    return e.what();
  }
  return "there was no error";
}

}  // namespace echelon::test
