#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <unistd.h>

namespace echelon::study {

/// A descriptor that is closed at the end.
class File {
 public:
  explicit File(int number = -1) noexcept : number_{number} {}
  ~File() {
    if (number_ >= 0) close(number_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  File(File&& other) noexcept : number_{std::exchange(other.number_, -1)} {}
  File& operator=(File&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  [[nodiscard]] int get() const noexcept { return number_; }
  [[nodiscard]] bool is_open() const noexcept { return number_ >= 0; }

 private:
  int number_;
};

/// A file whose name comes to it when it is whole and on the disk; with its folder's entry when this returns. Throws
/// std::runtime_error.
void write_durably(const std::string& path, std::string_view text);
/// Throws std::runtime_error, saying why not.
[[nodiscard]] std::string read_file(const std::string& path);
/// Of a file the end, at most so many bytes; empty where it cannot be read.
[[nodiscard]] std::string read_tail(const std::string& path, std::size_t most_bytes);
/// Takes the file, which is made, for this process alone until it is closed; not open where another has it. A file
/// system without locks gives it to anyone.
[[nodiscard]] File lock_file(const std::string& path);

}  // namespace echelon::study
