#pragma once

#include <string>

namespace echelon::launch {

/// The first number of the Open MPI that Echelon was built with; 0 if it was another MPI.
[[nodiscard]] int built_major();

/// What the mpirun on PATH is, as in "Open MPI 4.1.4" or "MPICH". Empty if there is none, or it does not tell. Asks it,
/// once.
[[nodiscard]] const std::string& mpirun_here();

/// 0 if it is not Open MPI's, or there is none.
[[nodiscard]] int mpirun_major();

/// Why ranks of Echelon's cannot be started by the mpirun on PATH: it belongs to another MPI, or to another series of
/// Open MPI. Empty if they can, or it is not known.
[[nodiscard]] std::string why_mpirun_differs();

/// srun has PMIx, by which ranks find each other, and binds them to CPUs of their own. Asks SLURM, once.
[[nodiscard]] bool srun_serves();

}  // namespace echelon::launch
