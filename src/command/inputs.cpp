#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/command/inputs.hpp>

namespace echelon::command {
namespace {

constexpr std::size_t buffer_bytes = 65536;

std::string error_text(int error) { return std::generic_category().message(error); }

}  // namespace

/// Values of one source, one after another.
class Inputs::Reader {
 public:
  Reader(Source source, char separator) : separator_{separator} {
    if (auto* const list = std::get_if<ListSource>(&source)) {
      list_ = std::move(list->values);
      is_at_end_ = true;
      return;
    }
    if (auto* const file = std::get_if<FileSource>(&source); file != nullptr && file->path != "-") {
      name_ = file->path;
      do {
        descriptor_ = ::open(file->path.c_str(), O_RDONLY | O_CLOEXEC);
      } while (descriptor_ < 0 && errno == EINTR);
      if (descriptor_ < 0) refuse(errno);
      is_own_ = true;
    } else {
      const auto* const open_file = std::get_if<DescriptorSource>(&source);
      descriptor_ = open_file == nullptr ? STDIN_FILENO : open_file->number;
      name_ = descriptor_ == STDIN_FILENO ? "standard input"
              : open_file->name.empty()   ? fmt::format("file descriptor {}", descriptor_)
                                          : open_file->name;
    }
    examine();
  }

  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { close_own(); }

  const std::string& name() const noexcept { return name_; }
  bool is_standard_input() const noexcept { return !is_own_ && descriptor_ == STDIN_FILENO; }
  /// Can keep one waiting.
  bool is_stream() const noexcept { return descriptor_ >= 0 && !is_on_disk_; }
  int descriptor() const noexcept { return descriptor_; }

  std::optional<std::string> next() {
    if (descriptor_ < 0) {
      if (given_ == list_.size()) return std::nullopt;
      return std::move(list_[given_++]);
    }
    while (!has_value()) {
      if (!read_some()) wait();
    }
    if (begin_ == buffer_.size()) return std::nullopt;
    const char* const separator = find_separator();
    const std::size_t end =
        separator == nullptr ? buffer_.size() : static_cast<std::size_t>(separator - buffer_.data());
    std::string value{buffer_, begin_, end - begin_};
    begin_ = std::min(end + 1, buffer_.size());
    searched_ = begin_;
    ++given_;
    if (separator_ != '\0' && value.find('\0') != std::string::npos) {
      throw base::UsageError(
          fmt::format("{}: line {} has a NUL byte; -0 (--null) reads values that end in one", name_, given_));
    }
    return value;
  }

  /// next() needs no read.
  bool has_value() const { return is_at_end_ || find_separator() != nullptr; }

  /// One read; false where nothing is there yet and whoever opened it said that reads must not wait.
  /// @pre descriptor() >= 0
  bool read_some() {
    if (is_at_end_) return true;
    // What has been given is dropped when it is most of the buffer, so each byte is moved once or so.
    if (begin_ >= buffer_bytes || begin_ == buffer_.size()) {
      buffer_.erase(0, begin_);
      searched_ -= begin_;
      begin_ = 0;
    }
    // A long value grows the buffer in steps of its own size, as otherwise its bytes would be moved again and again.
    const std::size_t held = buffer_.size();
    const std::size_t room = std::max(buffer_bytes, (held - begin_) / 2);
    buffer_.resize(held + room);
    ssize_t count = 0;
    do {
      count = ::read(descriptor_, buffer_.data() + held, room);
    } while (count < 0 && errno == EINTR);
    const int error = errno;
    buffer_.resize(held + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count < 0 && error == EAGAIN) return false;
    if (count < 0) refuse(error);
    is_at_end_ = count == 0;
    return true;
  }

  std::optional<std::uint64_t> count() const {
    if (descriptor_ < 0) return list_.size();
    if (!is_on_disk_) return std::nullopt;
    if (counted_) return counted_;
    std::string block(16 * buffer_bytes, '\0');
    std::uint64_t count = 0;
    char last = separator_;
    for (off_t at = start_;;) {
      const ssize_t bytes = ::pread(descriptor_, block.data(), block.size(), at);
      if (bytes < 0 && errno == EINTR) continue;
      if (bytes < 0) return std::nullopt;
      if (bytes == 0) break;
      count += static_cast<std::uint64_t>(std::count(block.data(), block.data() + bytes, separator_));
      last = block[static_cast<std::size_t>(bytes - 1)];
      at += bytes;
    }
    counted_ = count + (last == separator_ ? 0 : 1);
    return counted_;
  }

 private:
  [[noreturn]] void refuse(int error) {
    close_own();
    throw base::UsageError(fmt::format("{}: cannot be read as an input source: {}", name_, error_text(error)));
  }

  void wait() const {
    pollfd readable{descriptor_, POLLIN, 0};
    ::poll(&readable, 1, -1);
  }

  void close_own() noexcept {
    if (is_own_) ::close(descriptor_);
    is_own_ = false;
  }

  void examine() {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) refuse(errno);
    if (S_ISDIR(status.st_mode)) refuse(EISDIR);
    const int flags = ::fcntl(descriptor_, F_GETFL);
    if (flags >= 0 && (flags & O_ACCMODE) == O_WRONLY) refuse(EBADF);
    if (!S_ISREG(status.st_mode)) return;
    start_ = ::lseek(descriptor_, 0, SEEK_CUR);
    is_on_disk_ = start_ >= 0;
  }

  /// The end of the next value. What was searched once is not searched again, however long the value is.
  const char* find_separator() const {
    const void* const found = std::memchr(buffer_.data() + searched_, separator_, buffer_.size() - searched_);
    if (found == nullptr) searched_ = buffer_.size();
    return static_cast<const char*>(found);
  }

  char separator_;
  std::string name_ = "list";
  std::vector<std::string> list_;
  int descriptor_ = -1;  // a list has none
  bool is_own_ = false;
  bool is_on_disk_ = false;
  off_t start_ = 0;
  std::string buffer_;
  std::size_t begin_ = 0;             // of the next value
  mutable std::size_t searched_ = 0;  // no separator in [begin_, searched_)
  bool is_at_end_ = false;
  std::uint64_t given_ = 0;
  mutable std::optional<std::uint64_t> counted_;  // values of a file
};

Inputs::Inputs(std::vector<Source> sources, char separator) {
  bool is_standard_input_taken = false;
  for (Source& source : sources) {
    auto reader = std::make_unique<Reader>(std::move(source), separator);
    if (reader->is_standard_input() && std::exchange(is_standard_input_taken, true)) {
      throw base::UsageError("standard input can be one input source only; give the other one as a file");
    }
    if (!first_) {
      first_ = std::move(reader);
      continue;
    }
    std::vector<std::string> values;
    while (std::optional<std::string> value = reader->next()) values.push_back(std::move(*value));
    has_others_ = has_others_ || !values.empty();
    if (values.empty()) values.emplace_back();
    others_.push_back(std::move(values));
  }
  places_.resize(others_.size());
}

Inputs::Inputs(Inputs&&) noexcept = default;
Inputs& Inputs::operator=(Inputs&&) noexcept = default;
Inputs::~Inputs() = default;

std::optional<std::vector<std::string>> Inputs::next() {
  if (!is_in_round_) {
    std::optional<std::string> first = first_->next();
    if (!first && !is_started_ && has_others_) first.emplace();
    is_started_ = true;
    if (!first) return std::nullopt;
    if (others_.empty()) {
      std::vector<std::string> values;
      values.push_back(std::move(*first));
      return values;
    }
    start_round(std::move(*first));
  }
  for (std::size_t i = 0; i < others_.size(); ++i) values_[i + 1] = others_[i][places_[i]];
  is_in_round_ = false;
  for (std::size_t i = others_.size(); i-- > 0 && !is_in_round_;) {
    places_[i] = (places_[i] + 1) % others_[i].size();
    is_in_round_ = places_[i] != 0;
  }
  return values_;
}

void Inputs::start_round(std::string first) {
  values_.assign(1 + others_.size(), {});
  values_.front() = std::move(first);
}

bool Inputs::has_buffered() const { return is_in_round_ || !first_->is_stream() || first_->has_value(); }

void Inputs::read_some() {
  if (first_->descriptor() >= 0) first_->read_some();
}

int Inputs::descriptor() const noexcept { return first_->is_stream() ? first_->descriptor() : -1; }

std::size_t Inputs::sources() const noexcept { return 1 + others_.size(); }

std::optional<std::uint64_t> Inputs::count() const {
  std::optional<std::uint64_t> count = first_->count();
  if (!count) return std::nullopt;
  if (*count == 0 && has_others_) count = 1;
  for (const std::vector<std::string>& values : others_) {
    if (__builtin_mul_overflow(*count, values.size(), &*count)) return std::nullopt;
  }
  return count;
}

}  // namespace echelon::command
