#include <cerrno>
#include <filesystem>

#include <fcntl.h>

#include <echelon/base/files.hpp>

namespace echelon::base {
namespace {

namespace fs = std::filesystem;

template <typename Write>
std::uint64_t write_all(std::string_view bytes, Write write_some) {
  std::uint64_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = write_some(bytes.substr(done), done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    done += static_cast<std::uint64_t>(count);
  }
  return done;
}

struct flock whole_file() {
  struct flock all {};
  all.l_type = F_WRLCK;
  all.l_whence = SEEK_SET;
  return all;
}

}  // namespace

std::uint64_t write_at(int file, std::string_view bytes, std::uint64_t offset) {
  return write_all(bytes, [&](std::string_view rest, std::uint64_t done) {
    return pwrite(file, rest.data(), rest.size(), static_cast<off_t>(offset + done));
  });
}

std::uint64_t write_next(int file, std::string_view bytes) {
  return write_all(bytes, [&](std::string_view rest, std::uint64_t) { return write(file, rest.data(), rest.size()); });
}

void sync_folder(const std::string& path) noexcept {
  const Descriptor folder{open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (folder.is_open()) (void)fsync(folder.get());
}

std::string folder_of(const std::string& path) {
  const fs::path folder = fs::path{path}.parent_path();
  return folder.empty() ? "." : folder.string();
}

bool lock(int file) {
  struct flock all = whole_file();
  return fcntl(file, F_OFD_SETLK, &all) == 0 || (errno != EAGAIN && errno != EACCES);
}

bool is_locked(int file) {
  struct flock all = whole_file();
  return fcntl(file, F_OFD_GETLK, &all) == 0 && all.l_type != F_UNLCK;
}

}  // namespace echelon::base
