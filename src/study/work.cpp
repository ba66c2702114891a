#include <cmath>

#include <fmt/format.h>
#include <muParser.h>

#include <echelon/base/error.hpp>
#include <echelon/study/work.hpp>

namespace echelon::study {

double work(const std::string& function, const Point& point) {
  double value = 0;
  try {
    mu::Parser parser;
    parser.DefineConst("p", static_cast<double>(point.processors()));
    parser.DefineConst("ranks", static_cast<double>(point.ranks));
    parser.DefineConst("threads", static_cast<double>(point.threads));
    parser.SetExpr(function);
    value = parser.Eval();
  } catch (const mu::Parser::exception_type& e) {
    throw base::UsageError(
        fmt::format("--weak: '{}': {}; give a function of p, the processors, as in '1e8*p'", function, e.GetMsg()));
  }
  if (!(value > 0) || !std::isfinite(value)) {
    throw base::UsageError(fmt::format("--weak: '{}' is {} with p = {}; give a function that is positive there",
                                       function, value, point.processors()));
  }
  return value;
}

std::string work_text(const std::string& function, const Point& point) {
  const double value = work(function, point);
  constexpr double most_exact = 9007199254740992.0;  // 2^53
  return value == std::floor(value) && value <= most_exact ? fmt::format("{:.0f}", value)
                                                           : fmt::format("{:.15g}", value);
}

}  // namespace echelon::study
