#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace echelon::map {

/// Puts a tag before each line of a stream that comes in pieces.
class Tagger {
 public:
  /// nullptr: none.
  explicit Tagger(const std::string* tag) {
    if (tag == nullptr) return;
    const auto bytes = std::as_bytes(std::span{*tag});
    tag_.assign(bytes.begin(), bytes.end());
  }

  [[nodiscard]] std::span<const std::byte> operator()(std::span<const std::byte> bytes) {
    if (tag_.empty()) return bytes;
    tagged_.clear();
    while (!bytes.empty()) {
      if (at_line_start_) tagged_.insert(tagged_.end(), tag_.begin(), tag_.end());
      const auto* const newline = static_cast<const std::byte*>(std::memchr(bytes.data(), '\n', bytes.size()));
      at_line_start_ = newline != nullptr;
      const std::size_t size = newline == nullptr ? bytes.size() : static_cast<std::size_t>(newline - bytes.data()) + 1;
      tagged_.insert(tagged_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
      bytes = bytes.subspan(size);
    }
    return tagged_;
  }

 private:
  std::vector<std::byte> tag_;
  std::vector<std::byte> tagged_;
  bool at_line_start_ = true;
};

}  // namespace echelon::map
