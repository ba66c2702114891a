#include "files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include <fcntl.h>

namespace echelon::map {

namespace fs = std::filesystem;

void Room::give_back(int file, std::uint64_t offset, std::uint64_t size) {
  constexpr std::uint64_t block_bytes = std::uint64_t{1} << 20U;
  const std::uint64_t all = offset + size;
  for (std::uint64_t at = offset; at < all;) {
    const std::uint64_t block = at / block_bytes;
    const std::uint64_t end = std::min(all, (block + 1) * block_bytes);
    std::uint64_t& bytes = bytes_[block];
    bytes += end - at;
    at = end;
    if (bytes < block_bytes) continue;
    (void)fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(block * block_bytes),
                    static_cast<off_t>(block_bytes));
    bytes_.erase(block);
  }
}

std::string reason() { return std::strerror(errno); }

std::uint64_t copy(int from, const std::uint64_t* from_offset, int to, const std::uint64_t* to_offset,
                   std::uint64_t size) {
  constexpr std::size_t kernel_bytes = std::size_t{1} << 30U;
  constexpr std::size_t block_bytes = std::size_t{1} << 18U;
  off_t in = from_offset != nullptr ? static_cast<off_t>(*from_offset) : 0;
  off_t out = to_offset != nullptr ? static_cast<off_t>(*to_offset) : 0;
  std::uint64_t done = 0;
  while (done < size) {  // within the kernel, where it can do that with these two
    const ssize_t count =
        copy_file_range(from, from_offset != nullptr ? &in : nullptr, to, to_offset != nullptr ? &out : nullptr,
                        std::min<std::uint64_t>(size - done, kernel_bytes), 0);
    if (count <= 0) break;
    done += static_cast<std::uint64_t>(count);
  }
  std::vector<char> block(std::min<std::uint64_t>(size - done, block_bytes));
  while (done < size) {
    const std::size_t most = std::min<std::uint64_t>(size - done, block.size());
    const ssize_t count = from_offset != nullptr
                              ? pread(from, block.data(), most, static_cast<off_t>(*from_offset + done))
                              : read(from, block.data(), most);
    if (count < 0 && errno == EINTR) continue;
    if (count == 0) errno = 0;
    if (count <= 0) break;
    const std::string_view bytes{block.data(), static_cast<std::size_t>(count)};
    const std::uint64_t written = to_offset != nullptr ? write_at(to, bytes, *to_offset + done) : write_next(to, bytes);
    done += written;
    if (written < bytes.size()) break;
  }
  return done;
}

std::string real_path(const std::string& path) {
  std::error_code error;
  fs::path real = fs::weakly_canonical(path, error);
  return error ? fs::absolute(path).string() : fs::absolute(real).string();
}

}  // namespace echelon::map
