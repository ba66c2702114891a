#pragma once

#include <optional>

namespace echelon::cli {

/// When the SLURM allocation that this process is in ends, in seconds since 1970; nothing where it is in none, or SLURM
/// does not say. Starts a process, so not after MPI's start.
[[nodiscard]] std::optional<double> allocation_end();

}  // namespace echelon::cli
