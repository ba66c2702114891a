#include <array>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>

#include <link.h>
#include <sys/mman.h>

#include <echelon/pool/task_type.hpp>

namespace echelon::pool::detail {
namespace {

std::uint64_t hash(std::string_view text) {  // FNV-1a
  std::uint64_t h = 0xcbf29ce484222325;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return h;
}

/// By its file's name, as folders differ between nodes; the program itself has none.
std::uint64_t module_id(const dl_phdr_info& module) {
  const std::string_view path = module.dlpi_name;
  return path.empty() ? 0 : hash(path.substr(path.rfind('/') + 1));
}

bool holds(const dl_phdr_info& module, std::uint64_t offset) {
  for (int i = 0; i < module.dlpi_phnum; ++i) {
    const auto& segment = module.dlpi_phdr[i];
    if (segment.p_type == PT_LOAD && offset - segment.p_vaddr < segment.p_memsz) return true;
  }
  return false;
}

template <typename Visit>
void each_module(Visit visit) {
  dl_iterate_phdr(
      [](dl_phdr_info* module, std::size_t, void* data) { return (*static_cast<Visit*>(data))(*module) ? 1 : 0; },
      &visit);
}

}  // namespace

CodeAddress encode(const void* address) {
  const auto place = reinterpret_cast<std::uint64_t>(address);
  std::optional<CodeAddress> found;
  each_module([&](const dl_phdr_info& module) {
    if (holds(module, place - module.dlpi_addr)) found = {module_id(module), place - module.dlpi_addr};
    return found.has_value();
  });
  if (!found) throw std::invalid_argument("this function stands in no file that other ranks could load");
  return *found;
}

const void* decode(CodeAddress address) {
  // Never destroyed: a thread may call exit() while another one runs tasks.
  static auto& mutex = *new std::mutex;
  static auto& known = *new std::unordered_map<std::uint64_t, const void*>;  // by offset, of the program
  const std::lock_guard lock{mutex};
  if (address.module == 0) {
    if (const auto found = known.find(address.offset); found != known.end()) return found->second;
  }
  const void* place = nullptr;
  each_module([&](const dl_phdr_info& module) {
    if (module_id(module) != address.module || !holds(module, address.offset)) return false;
    place = reinterpret_cast<const void*>(module.dlpi_addr + address.offset);
    return true;
  });
  if (place == nullptr)
    throw std::runtime_error("the master runs another build of this program: start one on all ranks");
  if (address.module == 0) known.emplace(address.offset, place);
  return place;
}

void refuse_addresses(std::span<const std::byte> function) {
  // Words that a number or a half of a struct would hardly be: in user space, above 4 GiB, and mapped.
  constexpr std::uint64_t least = std::uint64_t{1} << 32;
  constexpr std::uint64_t most = std::uint64_t{1} << 47;
  constexpr std::uint64_t page = 4096;
  for (std::size_t at = 0; at + sizeof(std::uint64_t) <= function.size(); at += alignof(void*)) {
    std::uint64_t word = 0;
    std::memcpy(&word, function.data() + at, sizeof(word));
    if (word < least || word >= most) continue;
    if (msync(reinterpret_cast<void*>(word / page * page), page, MS_ASYNC) != 0) continue;
    throw std::invalid_argument(
        "a task's function captures by reference, or a pointer: an address means nothing to another rank; capture a "
        "value, or pass it as an argument");
  }
}

}  // namespace echelon::pool::detail
