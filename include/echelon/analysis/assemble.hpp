#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <echelon/measure/account.hpp>
#include <echelon/measure/record.hpp>

namespace echelon::analysis {

/// What the master knows of a run besides the ranks' books.
struct Run {
  std::string command;
  std::vector<std::string> argv;
  std::string started_at;  ///< UTC, ISO 8601
  measure::Fields parameters;
  measure::Fields result;
  std::vector<double> repetitions_s;
  std::uint64_t threads = 1;  ///< a rank
  std::string mpi;            ///< as in "Open MPI 4.1.4"
  std::string launcher;
};

/// The record of a run, from its ranks' books; the context is that of the calling process. Every record is made here.
[[nodiscard]] measure::Record assemble(Run run, std::vector<measure::Books> ranks);

}  // namespace echelon::analysis
