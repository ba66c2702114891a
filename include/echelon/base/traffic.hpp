#pragma once

#include <cstdint>

namespace echelon::base {

/// What was sent.
struct Traffic {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
};

}  // namespace echelon::base
