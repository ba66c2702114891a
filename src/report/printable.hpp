#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace echelon::report {

/// Text from others for a terminal, which it does not command: blanks for control characters, U+FFFD for each byte that
/// is not of UTF-8, and for marks that turn the direction of the words around them.
inline std::string printable(std::string_view text) {
  constexpr std::array<std::uint32_t, 5> least{0, 0, 0x80, 0x800, 0x10000};  // of a character of so many bytes
  std::string result;
  while (!text.empty()) {
    const std::uint32_t first = static_cast<unsigned char>(text.front());
    std::size_t size = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf8 ? 4 : 0;
    std::uint32_t character = size < 2 ? first : first & (0x7fU >> size);
    if (size > text.size()) size = 0;
    for (std::size_t i = 1; i < size; ++i) {
      const std::uint32_t next = static_cast<unsigned char>(text[i]);
      character = character << 6U | (next & 0x3fU);
      if ((next & 0xc0U) != 0x80) size = 0;
    }
    const bool is_surrogate = character >= 0xd800 && character < 0xe000;
    const bool turns = (character >= 0x202a && character <= 0x202e) || (character >= 0x2066 && character <= 0x2069);
    if (size == 3 && turns) {
      result += "\xef\xbf\xbd";
    } else if (size == 0 || character < least[size] || character > 0x10ffff || is_surrogate) {
      size = 1;
      result += "\xef\xbf\xbd";
    } else if (character < 0x20 || (character >= 0x7f && character < 0xa0)) {
      result += ' ';
    } else {
      result += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  return result;
}

}  // namespace echelon::report
