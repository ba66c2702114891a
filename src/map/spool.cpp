#include "spool.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <echelon/base/files.hpp>

namespace echelon::map {
namespace {

[[noreturn]] void throw_spool_error(const std::string& what, int error) {
  throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(error)));
}

std::string place() { return fmt::format("cannot keep output in '{}'", temporary_folder()); }

}  // namespace

std::string lost_output(int error) {
  return fmt::format("cannot keep its output in '{}': {}", temporary_folder(), std::strerror(error));
}

std::string temporary_folder() {
  const char* const chosen = std::getenv("TMPDIR");
  return chosen != nullptr && *chosen != '\0' ? chosen : "/tmp";
}

void write_all(int descriptor, std::span<const std::byte> bytes, const std::string& what) {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EAGAIN) {  // whoever shares it with this process said that writes must not wait
      pollfd writable{descriptor, POLLOUT, 0};
      (void)poll(&writable, 1, -1);
      continue;
    }
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EPIPE) throw ReaderGone(what + ": nobody reads it any more");
    if (written < 0) throw_spool_error(what, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

Spool::Spool() {
  const std::string folder = temporary_folder();
  descriptor_ = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor_ >= 0) return;
  std::string path = folder + "/echelon-XXXXXX";  // of a file system without O_TMPFILE
  descriptor_ = mkostemp(path.data(), O_CLOEXEC);
  if (descriptor_ < 0) throw_spool_error(place() + "; set TMPDIR to a folder that can be written", errno);
  unlink(path.c_str());
}

Spool::~Spool() {
  if (descriptor_ >= 0) close(descriptor_);
}

std::optional<Spool> Spool::of(const OpenFile& file) {
  const std::string path = fmt::format("/proc/{}/fd/{}", file.pid, file.descriptor);
  Spool spool{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  // Where processes are counted anew, as in a container, the number may be another's.
  struct stat status {};
  if (spool.descriptor_ < 0 || fstat(spool.descriptor_, &status) != 0) return std::nullopt;
  if (status.st_dev != file.device || status.st_ino != file.inode) return std::nullopt;
  return spool;
}

OpenFile Spool::where() const {
  struct stat status {};
  if (fstat(descriptor_, &status) != 0) throw_spool_error(place(), errno);
  return {getpid(), descriptor_, status.st_dev, status.st_ino};
}

std::uint64_t Spool::size() const {
  struct stat status {};
  if (fstat(descriptor_, &status) != 0) throw_spool_error(place(), errno);
  return static_cast<std::uint64_t>(status.st_size);
}

void Spool::append(std::span<const std::byte> bytes) const {
  const std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  if (base::write_at(descriptor_, text, size()) < text.size()) throw_spool_error(place(), errno);
}

void Spool::read(std::uint64_t from, std::span<std::byte> to) const {
  while (!to.empty()) {
    const ssize_t got = pread(descriptor_, to.data(), to.size(), static_cast<off_t>(from));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_spool_error(place(), errno);
    if (got == 0) throw std::runtime_error(place() + ": it has become shorter");
    from += static_cast<std::uint64_t>(got);
    to = to.subspan(static_cast<std::size_t>(got));
  }
}

void Spool::clear() const {
  if (ftruncate(descriptor_, 0) != 0) throw_spool_error(place(), errno);
}

}  // namespace echelon::map
