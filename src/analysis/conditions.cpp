#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <echelon/analysis/conditions.hpp>

namespace echelon::analysis {

std::vector<std::pair<std::string, std::string>> conditions(const measure::Context& context) {
  const std::string changed = context.dirty ? ", changed" : "";
  return {{"CPU", context.cpu_model},
          {"instruction set", context.isa},
          {"Echelon", fmt::format("{} ({}{})", context.version, context.commit, changed)},
          {"build", fmt::format("{}, {}", context.compiler, context.build_type)},
          {"MPI", context.mpi}};
}

std::string differing(std::span<const measure::Context> contexts) {
  std::vector<std::pair<std::string, std::vector<std::string>>> found;
  for (const measure::Context& context : contexts) {
    const auto here = conditions(context);
    if (found.empty()) {
      for (const auto& condition : here) found.emplace_back(condition.first, std::vector<std::string>{});
    }
    for (std::size_t i = 0; i < here.size(); ++i) {
      std::vector<std::string>& values = found[i].second;
      if (std::ranges::find(values, here[i].second) == values.end()) values.push_back(here[i].second);
    }
  }
  std::vector<std::string> parts;
  for (const auto& [name, values] : found) {
    if (values.size() > 1) parts.push_back(fmt::format("{} ({})", name, fmt::join(values, "; ")));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace echelon::analysis
