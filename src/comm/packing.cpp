#include <cstdint>

#include <sys/mman.h>

#include <echelon/comm/packing.hpp>

namespace echelon::comm::detail {

void prefer_huge_pages(void* memory, std::size_t bytes) noexcept {
  constexpr std::uintptr_t page = 4096;
  const auto begin = (reinterpret_cast<std::uintptr_t>(memory) + page - 1) / page * page;
  const auto end = (reinterpret_cast<std::uintptr_t>(memory) + bytes) / page * page;
  // A wish: where it is not granted, all is as it was.
  if (end > begin) (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

}  // namespace echelon::comm::detail
