#pragma once
#include <string>
namespace echelon::map { struct ResultsFolder { explicit ResultsFolder(const std::string&) {} }; }
