#pragma once

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

#include <echelon/measure/record.hpp>

namespace echelon::test {

/// A record as these tests write it: {"s": 1.5} with its only repetition.
inline std::string fake_record(double time_s) { return "{\"s\":" + std::to_string(time_s) + "}"; }

inline measure::Record read_fake_record(std::string_view json) {
  const std::size_t colon = json.find("{\"s\":");
  if (colon != 0) throw std::runtime_error("it is no record");
  measure::Record record;
  record.repetitions_s = {std::strtod(std::string{json.substr(5)}.c_str(), nullptr)};
  return record;
}

}  // namespace echelon::test
