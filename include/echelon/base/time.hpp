#pragma once

#include <chrono>

namespace echelon::base {

/// As Unix counts them, for journals and joblogs: of the clock on the wall, which may be set back.
inline double seconds_since_1970() {
  return std::chrono::duration<double>{std::chrono::system_clock::now().time_since_epoch()}.count();
}

}  // namespace echelon::base
