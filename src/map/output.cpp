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

void Output::write(const ResultsFolder& to, const std::vector<std::string>& values, std::uint64_t number) const {
  if (!files_.empty()) {
    return to.write(values, number, FilePart{files_[0].descriptor(), 0, output_bytes_},
                    FilePart{files_[1].descriptor(), 0, errors_bytes_});
  }
  const std::string_view all{reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  to.write(values, number, all.substr(0, output_bytes_), all.substr(output_bytes_));
}

}  // namespace echelon::map
