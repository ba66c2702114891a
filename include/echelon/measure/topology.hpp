#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace echelon::measure {

/// What this machine is made of, as hwloc sees it; a container may hide a part.
struct Topology {
  std::uint64_t packages = 0;
  std::uint64_t numa_nodes = 0;
  std::uint64_t cores = 0;
  std::uint64_t hardware_threads = 0;
  std::uint64_t memory_bytes = 0;
  std::vector<std::string> caches;  ///< largest last, as in "2 x L2 1.2 MiB"
};

/// Takes some 10 ms. Throws std::runtime_error where hwloc fails.
[[nodiscard]] Topology topology();

/// As in "1.2 MiB".
[[nodiscard]] std::string format_bytes(std::uint64_t bytes);

}  // namespace echelon::measure
