#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/base/files.hpp>
#include <echelon/report/output_file.hpp>

namespace echelon::report {
namespace {

namespace fs = std::filesystem;

std::string reason() { return std::strerror(errno); }

/// Pipes, terminals and devices take what is written; only a regular file can be replaced by a new one.
bool is_special(const std::string& path) {
  struct stat info {};
  return path == "-" || (stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode));
}

/// Of a link the file behind it: that one is to change.
std::string behind_link(const std::string& path) {
  return fs::is_symlink(path) && fs::exists(path) ? fs::canonical(path).string() : path;
}

/// A new file beside `path`; -1 on failure.
int open_beside(const std::string& path, std::string& name) {
  name = path + ".XXXXXX";
  return mkostemp(name.data(), O_CLOEXEC);
}

/// Writes all of `text` and closes; throws on any failure.
void write_and_close(int file, std::string_view text, const std::string& path, bool sync) {
  const auto fail = [&] {
    const std::string why = reason();
    if (file != STDOUT_FILENO) close(file);
    throw std::runtime_error("cannot write " + path + ": " + why);
  };
  if (base::write_next(file, text) < text.size()) fail();
  if (sync && fsync(file) != 0) fail();
  if (file != STDOUT_FILENO && close(file) != 0) {
    throw std::runtime_error("cannot write " + path + ": " + reason());
  }
}

}  // namespace

void check_output(const std::string& path) {
  if (path == "-") return;
  const auto refuse = [&](const std::string& why) { throw base::UsageError("cannot write '" + path + "': " + why); };
  if (path.empty()) refuse("it has no name; give a file name, or - for standard output");
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) refuse("it is a folder; give a file in it");
  const fs::path folder = fs::path{path}.has_parent_path() ? fs::path{path}.parent_path() : fs::path{"."};
  if (!fs::is_directory(folder, ignored)) refuse("there is no folder '" + folder.string() + "'; create it first");
  if (is_special(path)) {
    if (access(path.c_str(), W_OK) != 0) refuse(reason() + "; choose another path");
    return;
  }
  std::string name;
  const int file = open_beside(behind_link(path), name);  // where write_output() will write
  if (file < 0) refuse(reason() + "; choose a folder that you may write to");
  close(file);
  unlink(name.c_str());
}

void write_output(const std::string& path, std::string_view text) {
  if (is_special(path)) {
    const int file = path == "-" ? STDOUT_FILENO : open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file < 0) throw std::runtime_error("cannot write " + path + ": " + reason());
    write_and_close(file, text, path == "-" ? "standard output" : path, false);
    return;
  }
  const std::string target = behind_link(path);
  std::string name;
  const int file = open_beside(target, name);
  if (file < 0) throw std::runtime_error("cannot write " + path + ": " + reason());
  try {
    // mkostemp makes files private; this one gets what the file had that it replaces, or what open() would have given
    // it.
    const mode_t mask = umask(0);
    umask(mask);
    struct stat before {};
    fchmod(file, stat(target.c_str(), &before) == 0 ? before.st_mode & 07777 : 0666 & ~mask);
    write_and_close(file, text, path, true);
    fs::rename(name, target);
  } catch (...) {
    unlink(name.c_str());
    throw;
  }
}

}  // namespace echelon::report
