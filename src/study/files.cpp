#include "files.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include <fcntl.h>
#include <fmt/format.h>

namespace echelon::study {
namespace {

[[noreturn]] void fail(const char* what, const std::string& path) {
  throw std::runtime_error(fmt::format("cannot {} {}: {}", what, path, std::strerror(errno)));
}

std::string read_from(int file, std::size_t most_bytes) {
  std::string text;
  std::array<char, 65536> block{};
  while (text.size() < most_bytes) {
    const ssize_t count = read(file, block.data(), std::min(block.size(), most_bytes - text.size()));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw std::runtime_error(std::strerror(errno));
    if (count == 0) break;
    text.append(block.data(), static_cast<std::size_t>(count));
  }
  return text;
}

}  // namespace

void write_durably(const std::string& path, std::string_view text) {
  const std::string beside = path + ".tmp";
  {
    const File file{open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
    if (!file.is_open()) fail("write", path);
    while (!text.empty()) {
      const ssize_t count = write(file.get(), text.data(), text.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail("write", path);
      text.remove_prefix(static_cast<std::size_t>(count));
    }
    if (fsync(file.get()) != 0) fail("write", path);
  }
  if (rename(beside.c_str(), path.c_str()) != 0) fail("write", path);
  const std::string folder = std::filesystem::path{path}.parent_path();
  const File entries{open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (entries.is_open()) (void)fsync(entries.get());  // a file system that cannot is let be
}

std::string read_file(const std::string& path) {
  const File file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file.is_open()) throw std::runtime_error(std::strerror(errno));
  return read_from(file.get(), std::string::npos);
}

std::string read_tail(const std::string& path, std::size_t most_bytes) {
  const File file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file.is_open()) return {};
  const off_t size = lseek(file.get(), 0, SEEK_END);
  if (size < 0) return {};
  const auto most = static_cast<off_t>(most_bytes);
  if (lseek(file.get(), std::max<off_t>(0, size - most), SEEK_SET) < 0) return {};
  try {
    return read_from(file.get(), most_bytes);
  } catch (const std::runtime_error&) {
    return {};
  }
}

File lock_file(const std::string& path) {
  File file{open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)};
  if (!file.is_open()) fail("write", path);
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  const bool is_taken = fcntl(file.get(), F_OFD_SETLK, &whole) != 0 && (errno == EAGAIN || errno == EACCES);
  return is_taken ? File{} : std::move(file);
}

}  // namespace echelon::study
