#include "way_out.hpp"

#include <cstdlib>

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

namespace echelon::launch {

std::string way_out(const LaunchRequest& request) {
  constexpr std::uint64_t needed_bytes = std::uint64_t{8} << 20U;  // of launchers and ranks before they begin
  constexpr std::uint64_t files_a_rank = 8;                        // pipes of the launcher's
  constexpr std::uint64_t more_files = 40;
  const char* const chosen = std::getenv("TMPDIR");
  const std::string folder = chosen != nullptr && *chosen != '\0' ? chosen : "/tmp";
  struct statvfs disk {};
  if (statvfs(folder.c_str(), &disk) == 0 && disk.f_blocks > 0 &&
      (std::uint64_t{disk.f_bavail} * disk.f_frsize < needed_bytes || (disk.f_files > 0 && disk.f_favail == 0))) {
    return fmt::format("'{}' is full: make room there, or set TMPDIR to another folder; then {}", folder,
                       request.if_lost);
  }
  const std::uint64_t files = more_files + files_a_rank * request.ranks;
  if (rlimit limit{}; getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < files) {
    return fmt::format("it may open {} files only: ulimit -n {}; then {}", limit.rlim_cur, files, request.if_lost);
  }
  return request.if_lost;
}

}  // namespace echelon::launch
