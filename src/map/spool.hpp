#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

namespace echelon::map {

/// Where a process of this machine has a file open.
struct OpenFile {
  int pid;
  int descriptor;
  std::uint64_t device;
  std::uint64_t inode;
};

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

  /// Another process's, to read, for as long as this lives; nothing where it cannot be opened.
  [[nodiscard]] static std::optional<Spool> of(const OpenFile& file);
  [[nodiscard]] OpenFile where() const;

  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
  [[nodiscard]] std::uint64_t size() const;
  /// Throws std::runtime_error where a whole file system, or the file's end, is in the way; as all below.
  void append(std::span<const std::byte> bytes) const;
  void read(std::uint64_t from, std::span<std::byte> to) const;
  void clear() const;

 private:
  explicit Spool(int descriptor) noexcept : descriptor_{descriptor} {}

  int descriptor_ = -1;
};

/// Why what a command printed is not whole; `error` is errno.
[[nodiscard]] std::string lost_output(int error);

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
