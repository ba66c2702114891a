#pragma once

#include <string_view>

namespace echelon::report::html {

// The files beside this one, and Chart.js, as they were when Echelon was built.
extern const std::string_view page;
extern const std::string_view style;
extern const std::string_view script;
extern const std::string_view charts;

}  // namespace echelon::report::html
