#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include <echelon/analysis/estimate.hpp>

namespace echelon::analysis {

struct PrecisionOptions {
  double target = 0.02;         ///< half the width of the median's interval over the median
  std::size_t most = 100;       ///< repetitions
  std::size_t check_every = 5;  ///< repetitions, from the fewest that have an interval on; each look costs coverage
  double confidence = default_confidence;
};

enum class Verdict {
  more,     ///< repeat
  precise,  ///< the target is reached
  capped,   ///< there are as many repetitions as allowed, and the target is not reached
};

struct Precision {
  Verdict verdict = Verdict::more;
  std::optional<double> relative_half_width = {};  ///< none where there is no interval
  std::size_t next_look = 0;  ///< with how many repetitions to ask again; where there should be more
};

/// Whether a point has been repeated often enough. Stopping as soon as the figures look precise favours samples that
/// happen to be narrow. Coverage of the 95 % interval of the median when stopped so at 2 %, over 20,000 simulated
/// points with a variation of 3 %: 95.8 % at every fifth repetition (of 22 on average), 94.0 at every third, 93.6 at
/// each. Throws std::invalid_argument where a time is not positive and finite, or an option is 0.
[[nodiscard]] Precision precision(std::span<const double> times_s, const PrecisionOptions& options = {});

}  // namespace echelon::analysis
