#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include <unistd.h>

#include <echelon/base/processes.hpp>

namespace echelon::base {
namespace {

/// All living processes by their parents.
std::multimap<pid_t, pid_t> living_by_parent() {
  std::multimap<pid_t, pid_t> found;
  std::error_code ignored;  // a process that is gone by now
  for (const auto& entry : std::filesystem::directory_iterator{"/proc", ignored}) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream in{entry.path() / "stat"};
    // "pid (name) state parent ...", where the name may hold anything, the ends of lines too.
    std::string stat;
    std::getline(in, stat, '\0');  // by an iterator it would throw where the process ends at this moment
    std::istringstream fields{stat.substr(stat.rfind(')') + 1)};
    char state = '?';
    pid_t parent = 0;
    if (fields >> state >> parent && state != 'Z') found.emplace(parent, std::stoi(name));
  }
  return found;
}

}  // namespace

std::vector<pid_t> children() {
  std::vector<pid_t> result;
  const auto living = living_by_parent();
  const auto [begin, end] = living.equal_range(getpid());
  for (auto child = begin; child != end; ++child) result.push_back(child->second);
  return result;
}

std::vector<pid_t> descendants(const std::vector<pid_t>& spared) {
  const auto living = living_by_parent();
  std::vector<pid_t> found{getpid()};
  for (std::size_t next = 0; next < found.size(); ++next) {
    const auto [begin, end] = living.equal_range(found[next]);
    for (auto child = begin; child != end; ++child) {
      if (std::find(spared.begin(), spared.end(), child->second) == spared.end()) found.push_back(child->second);
    }
  }
  found.erase(found.begin());
  return found;
}

}  // namespace echelon::base
