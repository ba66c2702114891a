#include "files.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <fmt/format.h>

namespace echelon::study {
namespace {

using base::Descriptor;

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
    const Descriptor file{open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
    if (!file.is_open()) fail("write", path);
    if (base::write_next(file.get(), text) != text.size() || fsync(file.get()) != 0) fail("write", path);
  }
  if (rename(beside.c_str(), path.c_str()) != 0) fail("write", path);
  base::sync_folder(path);
}

std::string read_file(const std::string& path) {
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file.is_open()) throw std::runtime_error(std::strerror(errno));
  return read_from(file.get(), std::string::npos);
}

std::string read_tail(const std::string& path, std::size_t most_bytes) {
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
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

Descriptor lock_file(const std::string& path) {
  Descriptor file{open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)};
  if (!file.is_open()) fail("write", path);
  if (!base::lock(file.get())) file.reset();
  return file;
}

}  // namespace echelon::study
