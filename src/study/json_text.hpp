#pragma once

#include <exception>
#include <string>

namespace echelon::study {

/// What a JSON exception says, without its identifier ("[json.exception.parse_error.101] "), which helps no one.
inline std::string json_complaint(const std::exception& e) {
  const std::string what = e.what();
  const std::size_t end = what.starts_with("[json.") ? what.find("] ") : std::string::npos;
  return end == std::string::npos ? what : what.substr(end + 2);
}

}  // namespace echelon::study
