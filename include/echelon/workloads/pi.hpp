#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <echelon/comm/session.hpp>
#include <echelon/measure/record.hpp>
#include <echelon/numeric/midpoint_rule.hpp>
#include <echelon/schedule/chunks.hpp>
#include <echelon/workloads/account.hpp>

namespace echelon::workloads {

/// pi by the midpoint rule, shared out over ranks in blocks of points.
struct PiOptions {
  std::uint64_t points = 1'000'000'000;
  numeric::Kernel kernel = numeric::Kernel::fused;
  schedule::Schedule schedule = schedule::Schedule::fixed;
  std::uint64_t block = numeric::MidpointRule::default_block;  ///< points
  std::optional<std::uint64_t> chunk = std::nullopt;           ///< points, rounded up to whole blocks
  std::uint64_t threads = 1;                                   ///< a rank
  std::uint64_t repeat = 1;
  std::optional<numeric::Isa> isa = std::nullopt;  ///< nothing: each rank takes its CPU's best
};

/// With the static schedule the master scatters ranges of blocks; otherwise each rank claims chunks of blocks from one
/// counter. Either way the master computes too, and the exact partial sums come back by a reduction.
///
/// The master gets the record; the other ranks an empty one. `progress` is called on the master. Throws where a rank's
/// CPU lacks the instruction set asked for. Collective.
[[nodiscard]] measure::Record run_pi(const comm::Session& session, Account& account,
                                     const std::vector<std::string>& argv, const PiOptions& options,
                                     const Progress& progress);

/// Whether the value that a record of pi holds is as close to pi as its number of points promises, in every repetition.
[[nodiscard]] bool pi_is_right(const measure::Record& record);

}  // namespace echelon::workloads
