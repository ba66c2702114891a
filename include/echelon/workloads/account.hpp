#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <echelon/comm/session.hpp>
#include <echelon/measure/account.hpp>
#include <echelon/measure/record.hpp>

namespace echelon::workloads {

using measure::Account;

/// Told how much of the work is done, from 0 to 1, some hundred times a second.
using Progress = std::function<void(double done)>;

/// What a workload adds to the books of its ranks; only the master's counts, but for `isa`, which is each rank's own.
struct Outcome {
  std::string command;
  measure::Fields parameters;
  measure::Fields result;
  std::vector<double> repetitions_s;
  std::string isa;
  std::uint64_t threads = 1;
};

/// Closes the books of all ranks and makes the run's record on the master; the other ranks get an empty one.
/// Collective.
[[nodiscard]] measure::Record close(const comm::Session& session, Account& account,
                                    const std::vector<std::string>& argv, Outcome outcome);

}  // namespace echelon::workloads
