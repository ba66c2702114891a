#include "given_file.hpp"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <echelon/base/error.hpp>

namespace echelon::cli {
namespace {

/// By any of the names that shells and programs use.
std::optional<int> named_descriptor(std::string_view path) {
  if (path == "/dev/stdin") return STDIN_FILENO;
  if (path == "/dev/stdout") return STDOUT_FILENO;
  if (path == "/dev/stderr") return STDERR_FILENO;
  for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) {
    if (!path.starts_with(folder)) continue;
    const std::string_view number = path.substr(folder.size());
    int descriptor = -1;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), descriptor);
    if (error == std::errc{} && end == number.data() + number.size()) return descriptor;
  }
  return std::nullopt;
}

}  // namespace

bool names_standard_input(const std::string& path) { return named_descriptor(path) == STDIN_FILENO; }

bool is_ordinary_file(const std::string& path) {
  if (named_descriptor(path)) return false;
  struct stat status {};
  return stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode) || S_ISDIR(status.st_mode);
}

int open_given_file(const std::string& path, int flags) {
  const auto checked = [&](int descriptor) {
    const bool reads = (flags & O_ACCMODE) == O_RDONLY;
    if (descriptor < 0) {
      throw base::UsageError(fmt::format("cannot {} '{}': {}", reads ? "read" : "write", path, std::strerror(errno)));
    }
    if (reads && isatty(descriptor) != 0) {  // of which only foreground processes may read, and ranks are none
      close(descriptor);
      throw base::UsageError(fmt::format("'{}' is a terminal; give - , and < {} at the end", path, path));
    }
    return descriptor;
  };
  // Not opened by its name: a file would begin anew, and a socket cannot be opened.
  if (const auto own = named_descriptor(path)) return checked(fcntl(*own, F_DUPFD_CLOEXEC, 0));
  if (is_ordinary_file(path)) return -1;
  return checked(open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY));
}

}  // namespace echelon::cli
