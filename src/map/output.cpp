#include "output.hpp"

#include <algorithm>

namespace echelon::map {

void Output::read(Stream of, const Take& take) const {
  const std::uint64_t size = this->size(of);
  if (files_.empty()) {
    const auto all = std::span{bytes_};
    if (size > 0) take(of == Stream::output ? all.first(size) : all.subspan(output_bytes_, size));
    return;
  }
  constexpr std::uint64_t piece = 1 << 18;
  std::vector<std::byte> bytes(std::min(size, piece));
  const Spool& file = files_[of == Stream::output ? 0 : 1];
  for (std::uint64_t at = 0; at < size; at += bytes.size()) {
    bytes.resize(std::min<std::uint64_t>(piece, size - at));
    file.read(at, bytes);
    take(bytes);
  }
}

}  // namespace echelon::map
