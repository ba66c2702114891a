#include <algorithm>

#include <echelon/schedule/node_pieces.hpp>

namespace echelon::schedule {

NodePieces::NodePieces(Schedule schedule, std::uint64_t items, std::uint64_t workers, std::uint64_t chunk,
                       std::uint64_t nodes) noexcept
    : schedule_{schedule}, chunks_{items / chunk + (items % chunk != 0 ? 1 : 0)}, workers_{workers}, nodes_{nodes} {}

std::uint64_t NodePieces::at(std::uint64_t number) const noexcept {
  constexpr std::uint64_t pieces_a_node = 4;
  if (number >= chunks_) return workers_;
  return std::max<std::uint64_t>((chunks_ - number) / pieces_a_node / nodes_, 1);
}

}  // namespace echelon::schedule
