#pragma once

#include <cstddef>

namespace echelon::shared {

/// Where ranks write beside each other: two cache lines, as processors fetch them in pairs.
inline constexpr std::size_t apart = 128;

}  // namespace echelon::shared
