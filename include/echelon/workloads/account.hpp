#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <echelon/comm/session.hpp>
#include <echelon/measure/machine.hpp>
#include <echelon/measure/phase_clock.hpp>
#include <echelon/measure/record.hpp>

namespace echelon::workloads {

/// A rank's books. Made at the beginning of main(), kept by the workload, closed into the record at its end.
struct Account {
  measure::PhaseClock clock;
  measure::Usage usage_at_start = measure::usage();
  std::string started_at = measure::utc_now();
  std::uint64_t tasks = 0;
  std::uint64_t items = 0;
};

/// What a workload adds to the books of its ranks; only the master's counts, but for `isa`, which is each rank's own.
struct Outcome {
  std::string command;
  measure::Fields parameters;
  measure::Fields result;
  std::vector<double> repetitions_s;
  std::string isa;
  std::uint64_t threads = 1;
};

/// Closes the books of all ranks and makes the run's record on the master; the other ranks get an empty one. Every
/// workload's record is made here. Collective.
[[nodiscard]] measure::Record close(const comm::Session& session, Account& account,
                                    const std::vector<std::string>& argv, Outcome outcome);

}  // namespace echelon::workloads
