#pragma once

#include <string>
#include <string_view>

#include <echelon/measure/record.hpp>

namespace echelon::report {

/// What the table of a run says in its command's own words.
struct Wording {
  std::string_view command;
  std::string_view tasks;  ///< head of that column: what a rank was given; nothing: there is none
  std::string_view items;  ///< the same: what that was made of
  /// The lines above the table, each ending in a newline: the answer, then how much in which time.
  std::string (*headline)(const measure::Record&);
};

/// Of a command without words of its own, general ones.
[[nodiscard]] const Wording& wording(std::string_view command) noexcept;

}  // namespace echelon::report
