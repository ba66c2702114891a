#include <array>
#include <memory>
#include <stdexcept>
#include <type_traits>

#include <fmt/format.h>
#include <hwloc.h>
#include <unistd.h>

#include <echelon/measure/topology.hpp>

namespace echelon::measure {
namespace {

std::uint64_t count(hwloc_topology_t topology, hwloc_obj_type_t type) {
  const int objects = hwloc_get_nbobjs_by_type(topology, type);
  return objects > 0 ? static_cast<std::uint64_t>(objects) : 0;
}

/// As the kernel counts it: hwloc adds up NUMA nodes, which in some virtual machines do not list all of it.
std::uint64_t physical_memory_bytes() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page_bytes = sysconf(_SC_PAGESIZE);
  return pages > 0 && page_bytes > 0 ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes) : 0;
}

}  // namespace

Topology topology() {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) throw std::runtime_error("hwloc cannot be started");
  const std::unique_ptr<std::remove_pointer_t<hwloc_topology_t>, decltype(&hwloc_topology_destroy)> topology{
      raw, &hwloc_topology_destroy};
  if (hwloc_topology_load(raw) != 0) throw std::runtime_error("hwloc cannot read this machine's topology");
  Topology found{
      .packages = count(raw, HWLOC_OBJ_PACKAGE),
      .numa_nodes = count(raw, HWLOC_OBJ_NUMANODE),
      .cores = count(raw, HWLOC_OBJ_CORE),
      .hardware_threads = count(raw, HWLOC_OBJ_PU),
      .memory_bytes = physical_memory_bytes(),
      .caches = {},
  };
  constexpr std::array levels{HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE, HWLOC_OBJ_L4CACHE};
  for (std::size_t level = 0; level < levels.size(); ++level) {
    const std::uint64_t caches = count(raw, levels[level]);
    if (caches == 0) continue;
    const std::uint64_t bytes = hwloc_get_obj_by_type(raw, levels[level], 0)->attr->cache.size;
    found.caches.push_back(fmt::format("{} x L{} {}", caches, level + 1, format_bytes(bytes)));
  }
  return found;
}

std::string format_bytes(std::uint64_t bytes) {
  constexpr std::array units{"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < units.size(); ++unit) value /= 1024;
  const bool whole = value == static_cast<double>(static_cast<std::uint64_t>(value));
  return fmt::format("{:.{}f} {}", value, whole ? 0 : 1, units[unit]);
}

}  // namespace echelon::measure
