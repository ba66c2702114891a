#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/map/results_folder.hpp>

namespace echelon::map {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_name = 255;

/// FNV-1a.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

std::string name_of(std::string_view value) {
  if (value == "." || value == "..") return std::string{"\\"}.append(value);
  std::string name;
  for (const char c : value) {
    switch (c) {
      case '\\': name += "\\\\"; break;
      case '/': name += "\\_"; break;
      case '\t': name += "\\t"; break;
      default: name += c;
    }
  }
  if (name.size() <= longest_name) return name;
  const std::string end = fmt::format("\\{:016x}", hash_of(name));
  std::size_t kept = longest_name - end.size();
  // Not within a character of UTF-8: its bytes but the first begin with the bits 10.
  for (int i = 0; i < 3 && (static_cast<unsigned char>(name[kept]) & 0xC0U) == 0x80U; ++i) --kept;
  name.resize(kept);
  return name + end;
}

[[noreturn]] void throw_system_error(const std::string& what, int error) {
  throw std::system_error(error, std::generic_category(), what);
}

/// A file that takes its name when it is whole; what is left of it otherwise is removed.
class NewFile {
 public:
  explicit NewFile(fs::path path)
      : path_{std::move(path)}, temporary_{path_.string() + fmt::format(".part.{}", ::getpid())} {
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor_ < 0) throw_system_error("cannot make " + path_.string(), errno);
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!is_done_) ::unlink(temporary_.c_str());
  }

  void append(std::string_view text) {
    while (!text.empty()) {
      const ssize_t count = ::write(descriptor_, text.data(), text.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw_system_error("cannot write " + path_.string(), errno);
      text.remove_prefix(static_cast<std::size_t>(count));
    }
  }

  void append(const FilePart& part) {
    std::string block(static_cast<std::size_t>(std::min<std::uint64_t>(part.size, 1U << 18U)), '\0');
    for (std::uint64_t done = 0; done < part.size;) {
      const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), part.size - done));
      const ssize_t count = ::pread(part.descriptor, block.data(), wanted, static_cast<off_t>(part.offset + done));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw_system_error("cannot read the output that is to go to " + path_.string(), errno);
      if (count == 0)
        throw_system_error("the output that is to go to " + path_.string() + " is shorter than it was", EIO);
      append(std::string_view{block.data(), static_cast<std::size_t>(count)});
      done += static_cast<std::uint64_t>(count);
    }
  }

  void finish() {
    // Some file systems report a full disk only now.
    if (::close(std::exchange(descriptor_, -1)) != 0) throw_system_error("cannot write " + path_.string(), errno);
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw_system_error("cannot make " + path_.string(), errno);
    is_done_ = true;
  }

 private:
  fs::path path_;
  std::string temporary_;
  int descriptor_ = -1;
  bool is_done_ = false;
};

template <typename Content>
void write_file(const fs::path& path, const Content& content) {
  NewFile file{path};
  file.append(content);
  file.finish();
}

template <typename Content>
void write_task(const fs::path& folder, std::uint64_t number, const Content& output, const Content& errors) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw_system_error("cannot make " + folder.string(), error.value());
  write_file(folder / "stdout", output);
  write_file(folder / "stderr", errors);
  write_file(folder / "seq", std::string_view{std::to_string(number)});
}

}  // namespace

fs::path results_path(const fs::path& dir, const std::vector<std::string>& values) {
  fs::path path = dir;
  for (std::size_t i = 0; i < values.size(); ++i) {
    path /= std::to_string(i + 1);
    if (!values[i].empty()) path /= name_of(values[i]);
  }
  return path;
}

ResultsFolder::ResultsFolder(fs::path dir) : dir_{std::move(dir)} {
  std::error_code error;
  fs::create_directories(dir_, error);
  if (!error && ::access(dir_.c_str(), W_OK | X_OK) != 0) error = {errno, std::generic_category()};
  if (error) {
    throw base::UsageError(
        fmt::format("--results {}: cannot be written: {}; name a folder that can be made or is there", dir_.string(),
                    error.message()));
  }
}

void ResultsFolder::write(const std::vector<std::string>& values, std::uint64_t number, std::string_view output,
                          std::string_view errors) const {
  write_task(results_path(dir_, values), number, output, errors);
}

void ResultsFolder::write(const std::vector<std::string>& values, std::uint64_t number, const FilePart& output,
                          const FilePart& errors) const {
  write_task(results_path(dir_, values), number, output, errors);
}

}  // namespace echelon::map
