#pragma once
#include <string>
#include <vector>
namespace echelon::command { inline std::vector<std::string> command_environment(char** e) { std::vector<std::string> r; for (; *e; ++e) r.push_back(*e); return r; } }
