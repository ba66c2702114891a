#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace echelon::base {

/// `value` as a `To`; throws std::out_of_range where it does not fit. The way to MPI's int.
template <typename To, typename From>
[[nodiscard]] To checked_cast(From value) {
  if (!std::in_range<To>(value)) {
    throw std::out_of_range(std::to_string(value) + " does not fit into " + std::to_string(8 * sizeof(To)) + " bits");
  }
  return static_cast<To>(value);
}

/// A whole number as people write it: 1000000, 1_000_000, 1e6, 2.5e3; read exactly, without floating point.
/// Throws UsageError, whose text says what is wrong with it and which numbers would do.
/// @pre min <= max
[[nodiscard]] std::uint64_t parse_count(std::string_view text, std::uint64_t min, std::uint64_t max);

/// A number of seconds as people write it: 90, 1.5, 2m, 1h30m, 2d. Throws UsageError.
[[nodiscard]] double parse_seconds(std::string_view text);
/// Before the sign, as in 150%. Throws UsageError.
[[nodiscard]] double parse_percent(std::string_view text);

}  // namespace echelon::base
