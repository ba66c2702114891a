#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

namespace echelon::map {

/// A file without a name, in $TMPDIR or /tmp: it goes with its last descriptor, however its owner ends.
class Spool {
 public:
  Spool();
  ~Spool();
  Spool(Spool&& other) noexcept : descriptor_{std::exchange(other.descriptor_, -1)} {}
  Spool& operator=(Spool&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  /// Opened to append.
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
  [[nodiscard]] std::uint64_t size() const;
  /// Throws std::runtime_error where a whole file system, or the file's end, is in the way; as all below.
  void append(std::span<const std::byte> bytes) const;
  void read(std::uint64_t from, std::span<std::byte> to) const;
  void clear() const;

 private:
  int descriptor_ = -1;
};

/// Where temporary files go.
[[nodiscard]] std::string temporary_folder();

/// Nobody reads what is written to a pipe any more.
class ReaderGone : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Writes all of it; throws std::runtime_error that names `what` and the reason, ReaderGone where it is that.
void write_all(int descriptor, std::span<const std::byte> bytes, const std::string& what);

}  // namespace echelon::map
