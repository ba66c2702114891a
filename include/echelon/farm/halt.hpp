#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
namespace echelon::farm {
struct Halt {
  enum class When { soon, now };
  enum class Why { fail, success, done };
  Why why = Why::fail;
  static Halt parse(std::string_view) { return {}; }
  std::string text() const { return ""; }
};
class RunTimes {
 public:
  void add(double) {}
  std::optional<double> limit(double) const { return std::nullopt; }
};
}  // namespace echelon::farm
