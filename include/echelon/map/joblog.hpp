#pragma once
#include <string>
#include <echelon/farm/ending.hpp>
namespace echelon::map { inline std::string joblog_header() { return ""; } inline std::string joblog_line(const farm::Ending&, const std::string&) { return ""; } }
