#pragma once

#include <chrono>
#include <optional>

namespace echelon::base {

/// The end of a wait that may last so long; nothing where that is beyond any program's end, and what the clock can say.
template <typename Rep, typename Period>
[[nodiscard]] std::optional<std::chrono::steady_clock::time_point> deadline(std::chrono::duration<Rep, Period> limit) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::duration<double> for_ever{1e9};
  const std::chrono::duration<double> seconds{limit};
  if (seconds >= for_ever) return std::nullopt;
  if (!(seconds > seconds.zero())) return Clock::now();
  return Clock::now() + std::chrono::ceil<Clock::duration>(seconds);
}

}  // namespace echelon::base
