#include <array>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include <fmt/format.h>

#include <echelon/launch/launchers_here.hpp>
#include <echelon/launch/start_command.hpp>

namespace echelon::launch {
namespace {

constexpr std::string_view open_mpi = "Open MPI ";

/// What a shell's command prints; nothing if it fails.
std::optional<std::string> answer_of(const char* command) {
  std::FILE* const answer = popen(command, "r");
  if (answer == nullptr) return std::nullopt;
  std::string text;
  std::array<char, 4096> part{};
  for (std::size_t size = 0; (size = fread(part.data(), 1, part.size(), answer)) > 0;) text.append(part.data(), size);
  return pclose(answer) == 0 ? std::optional{text} : std::nullopt;
}

}  // namespace

int built_major() { return std::atoi(ECHELON_OPEN_MPI); }

const std::string& mpirun_here() {
  static const std::string version = [] {
    const std::string text = answer_of("timeout 10 mpirun --version 2>/dev/null </dev/null").value_or("");
    const std::string line = text.substr(0, text.find('\n'));
    constexpr std::string_view before = "mpirun (Open MPI) ";  // and the version
    if (line.starts_with(before)) return fmt::format("{}{}", open_mpi, line.substr(before.size()));
    for (const auto& [word, name] : {std::pair{"HYDRA", "MPICH"}, {"Intel(R) MPI", "Intel MPI"}}) {
      if (text.find(word) != std::string::npos) return std::string{name};
    }
    return std::string{};
  }();
  return version;
}

int mpirun_major() {
  const std::string& here = mpirun_here();
  return here.starts_with(open_mpi) ? std::atoi(here.c_str() + open_mpi.size()) : 0;
}

std::string why_mpirun_differs() {
  if (built_major() == 0 || mpirun_here().empty() || mpirun_major() == built_major()) return {};
  return fmt::format(
      "the mpirun on PATH is that of {}, but Echelon was built with {}{}; put the mpirun of that one "
      "first on PATH, or build Echelon again",
      mpirun_here(), open_mpi, ECHELON_OPEN_MPI);
}

bool srun_serves() {
  static const bool serves = [] {
    const auto answer = answer_of("{ srun --mpi=list; scontrol show config; } 2>&1");
    return answer && says_srun_serves(*answer);
  }();
  return serves;
}

}  // namespace echelon::launch
