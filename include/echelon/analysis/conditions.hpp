#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include <echelon/measure/record.hpp>

namespace echelon::analysis {

/// What should be the same in all runs whose times are compared, by name: CPU, instruction set, Echelon, build, MPI.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> conditions(const measure::Context& context);

/// Those that are not the same in all, with their values: "CPU (A; B), MPI (C; D)"; empty where all are.
[[nodiscard]] std::string differing(std::span<const measure::Context> contexts);

}  // namespace echelon::analysis
