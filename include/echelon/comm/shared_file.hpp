#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>

#include <echelon/comm/session.hpp>

namespace echelon::comm {

/// A shared file could not be written. Thrown on all ranks alike, so the session is whole and can end in order.
class SharedFileError : public std::runtime_error {
 public:
  SharedFileError(const std::string& reason, std::uint64_t written) : std::runtime_error{reason}, written_{written} {}
  /// By all ranks, in bytes, before it failed.
  [[nodiscard]] std::uint64_t written() const noexcept { return written_; }

 private:
  std::uint64_t written_;
};

/// A file that all ranks write, each its own parts, by MPI-IO. It has its name only when it is whole: until then it is
/// "NAME.partial" in the same folder. A run that is killed leaves that, and the next one of this name replaces it; a
/// run that fails removes it. Of two runs at a time, the second is refused.
class SharedFile {
 public:
  enum class Existing {
    keep,     ///< finish() fails where a file of this name has come up
    replace,  ///< by finish(), with its permissions kept
  };

  /// Of a link, the file behind it is meant. Throws SharedFileError. Collective.
  SharedFile(const Session& session, const std::string& path, Existing existing);
  /// Without finish() the partial file is removed. Collective, but for a rank that is leaving by an exception.
  ~SharedFile();
  SharedFile(const SharedFile&) = delete;
  SharedFile& operator=(const SharedFile&) = delete;

  /// False where it failed; finish() will say why, and this rank need not go on. Not collective; one thread at a time.
  [[nodiscard]] bool write_at(std::uint64_t offset, std::span<const std::byte> bytes);

  /// Puts all on the disk and gives it its name. Throws SharedFileError where a rank has failed. Collective.
  void finish();

  /// Bytes that a shared file at `path` may take: what is free there, and what a killed run has left.
  [[nodiscard]] static std::uint64_t room(const std::string& path);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace echelon::comm
