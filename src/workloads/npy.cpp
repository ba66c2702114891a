#include <fmt/format.h>

#include <echelon/workloads/npy.hpp>

namespace echelon::workloads {

std::string npy_header(std::uint64_t count) {
  constexpr std::size_t length = npy_header_bytes;  // what NumPy takes, too: a multiple of 64, and room for any count
  constexpr std::size_t preamble = 10;
  static_assert(length - preamble < 256);  // so of the length, two bytes, the lower first, only one is not 0
  std::string header{"\x93NUMPY\x01\x00", 8};
  header += static_cast<char>(length - preamble);
  header += '\0';
  header += fmt::format("{{'descr': '<f8', 'fortran_order': False, 'shape': ({},), }}", count);
  header.resize(length - 1, ' ');
  return header + '\n';
}

}  // namespace echelon::workloads
