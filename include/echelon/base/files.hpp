#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <unistd.h>

namespace echelon::base {

/// A file that is open, closed at the end.
class Descriptor {
 public:
  Descriptor() noexcept = default;
  explicit Descriptor(int number) noexcept : number_{number} {}
  ~Descriptor() { reset(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor(Descriptor&& other) noexcept : number_{std::exchange(other.number_, -1)} {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    reset(std::exchange(other.number_, -1));
    return *this;
  }
  [[nodiscard]] int get() const noexcept { return number_; }
  [[nodiscard]] bool is_open() const noexcept { return number_ >= 0; }
  void reset(int number = -1) noexcept {
    if (number_ >= 0) close(number_);
    number_ = number;
  }

 private:
  int number_ = -1;
};

/// Writes all at `offset`, or as much as goes. How much that was; errno says why not more.
[[nodiscard]] std::uint64_t write_at(int file, std::string_view bytes, std::uint64_t offset);
/// The same for a file that cannot seek, at its end.
[[nodiscard]] std::uint64_t write_next(int file, std::string_view bytes);
/// Makes a name that was given, changed or taken away in the folder of `path` last. A file system that cannot is let
/// be.
void sync_folder(const std::string& path) noexcept;
[[nodiscard]] std::string folder_of(const std::string& path);
/// Takes the file for this process alone, until it is closed: false where another has it. A file system without locks
/// gives it to anyone.
[[nodiscard]] bool lock(int file);
/// Whether a process that writes it holds the file.
[[nodiscard]] bool is_locked(int file);

}  // namespace echelon::base
