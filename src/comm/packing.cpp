#include <algorithm>
#include <cstdint>
#include <cstring>

#include <sys/mman.h>

#include <echelon/comm/packing.hpp>

namespace echelon::comm::detail {
namespace {

constexpr std::uintptr_t page_bytes = 4096;
constexpr std::uintptr_t huge_page_bytes = 2 << 20;

std::uintptr_t round_down(std::uintptr_t value, std::uintptr_t to) { return value / to * to; }
std::uintptr_t round_up(std::uintptr_t value, std::uintptr_t to) { return round_down(value + to - 1, to); }

/// Asks something of the kernel for this memory. If it is refused, all is as it was.
void advise(std::uintptr_t begin, std::uintptr_t end, int advice) noexcept {
  if (end > begin) (void)madvise(reinterpret_cast<void*>(begin), end - begin, advice);
}

}  // namespace

void prefer_huge_pages(void* memory, std::size_t bytes) noexcept {
  const auto begin = reinterpret_cast<std::uintptr_t>(memory);
  advise(round_up(begin, page_bytes), round_down(begin + bytes, page_bytes), MADV_HUGEPAGE);
}

void give_back(void* memory, std::size_t from, std::size_t to) noexcept {
  const auto begin = reinterpret_cast<std::uintptr_t>(memory);
  advise(std::max(round_up(begin, huge_page_bytes), round_down(begin + from, huge_page_bytes)),
         round_down(begin + to, huge_page_bytes), MADV_DONTNEED);
}

void move_bytes(void* to, void* from, std::size_t bytes) noexcept {
  for (std::size_t done = 0; done < bytes; done += large_bytes) {
    const std::size_t next = std::min(large_bytes, bytes - done);
    std::memcpy(static_cast<std::byte*>(to) + done, static_cast<std::byte*>(from) + done, next);
    give_back(from, done, done + next);
  }
}

}  // namespace echelon::comm::detail
