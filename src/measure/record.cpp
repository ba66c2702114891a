#include <algorithm>

#include <echelon/measure/record.hpp>

namespace echelon::measure {

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 != 0 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

const std::string* find(const std::optional<Slurm>& slurm, std::string_view name) noexcept {
  if (!slurm) return nullptr;
  for (const auto& [key, value] : *slurm) {
    if (key == name) return &value;
  }
  return nullptr;
}

}  // namespace echelon::measure
