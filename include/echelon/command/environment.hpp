#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace echelon::command {

/// The environment for a command, of that of a rank (which a null pointer ends): without what MPI launchers and
/// `echelon -n` have told the rank, so that an MPI program, or its mpirun, starts as it would for the user. Variables
/// of launchers that are the user's own stay: those that the rank's launch announced (base::user_variables), or without
/// an announcement, those that no launcher sets by itself.
[[nodiscard]] std::vector<std::string> command_environment(const char* const* rank_environment);

/// How many threads a command should use: its share of the CPUs that its rank may use, which `ranks_that_share` ranks
/// of its node have in common.
[[nodiscard]] std::uint64_t threads_a_command(std::uint64_t cpus, std::uint64_t ranks_that_share) noexcept;

}  // namespace echelon::command
