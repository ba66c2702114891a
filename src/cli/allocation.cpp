#include "allocation.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include <echelon/measure/machine.hpp>

namespace echelon::cli {
namespace {

std::optional<double> ask() {
  if (const auto end = measure::environment("SLURM_JOB_END_TIME")) return std::strtod(end->c_str(), nullptr);
  const auto job = measure::environment("SLURM_JOB_ID");
  if (!job || job->find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  // SLURM before 23.02 does not set the variable.
  std::FILE* const answer = popen(("squeue --noheader --format=%e --jobs=" + *job + " 2>/dev/null").c_str(), "r");
  if (answer == nullptr) return std::nullopt;
  std::array<char, 64> text{};
  const bool any = std::fgets(text.data(), text.size(), answer) != nullptr;
  pclose(answer);
  std::tm local{};
  local.tm_isdst = -1;
  if (!any || strptime(text.data(), "%Y-%m-%dT%H:%M:%S", &local) == nullptr) return std::nullopt;
  return static_cast<double>(std::mktime(&local));
}

}  // namespace

std::optional<double> allocation_end() {
  static const std::optional<double> end = ask();
  return end;
}

}  // namespace echelon::cli
