#pragma once

#include <string_view>

namespace echelon::base {

/// What this binary was built from and with; stamped at build time.
struct Build {
  std::string_view version;
  std::string_view commit;  ///< or "unknown, " and the reason
  bool dirty;               ///< the checkout differed from the commit
  std::string_view type;    ///< CMake's build type
  std::string_view compiler;
};

[[nodiscard]] const Build& build() noexcept;

}  // namespace echelon::base
