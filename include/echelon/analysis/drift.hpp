#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace echelon::analysis {

/// A time and its place in the order of all runs.
struct OrderedTime {
  std::uint64_t sequence = 0;
  double time_s = 0;
};

struct Drift {
  double p_value = 1;          ///< of no trend, two-sided
  double relative_change = 0;  ///< of the times, from the first run of all to the last
};

/// Kendall's test for a trend over run order within each group, joined over groups, whose levels may differ: Hirsch,
/// Slack and Smith, Water Resources Research 18 (1982). The size is the median slope of the logarithms over all pairs
/// of a group (Theil and Sen). None where no group has two times. Throws std::invalid_argument where a time is not
/// positive and finite.
[[nodiscard]] std::optional<Drift> drift(std::span<const std::vector<OrderedTime>> groups);

}  // namespace echelon::analysis
