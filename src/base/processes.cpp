#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include <echelon/base/processes.hpp>

namespace echelon::base {
namespace {

/// A process as /proc shows it; its parent is 0 where it is gone.
struct Stat {
  char state = '?';
  pid_t parent = 0;
  std::uint64_t cpu_ticks = 0;
};

Stat stat_of(pid_t process) {
  std::ifstream in{"/proc/" + std::to_string(process) + "/stat"};
  // "pid (name) state parent ...", where the name may hold anything, the ends of lines too.
  std::string text;
  std::getline(in, text, '\0');  // by an iterator it would throw where the process ends at this moment
  std::istringstream fields{text.substr(text.rfind(')') + 1)};
  Stat stat;
  fields >> stat.state >> stat.parent;
  constexpr int fields_to_skip = 9;
  std::string skipped;
  for (int i = 0; i < fields_to_skip; ++i) fields >> skipped;
  std::uint64_t user = 0;
  std::uint64_t system = 0;
  fields >> user >> system;
  stat.cpu_ticks = user + system;
  return fields ? stat : Stat{};
}

/// Calls what(pid, stat) for each process that lives.
template <typename What>
void for_each_living(const What& what) {
  std::error_code ignored;  // a process that is gone by now
  for (const auto& entry : std::filesystem::directory_iterator{"/proc", ignored}) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const pid_t process = std::stoi(name);
    if (const Stat stat = stat_of(process); stat.state != '?' && stat.state != 'Z') what(process, stat);
  }
}

std::multimap<pid_t, pid_t> living_by_parent() {
  std::multimap<pid_t, pid_t> found;
  for_each_living([&](pid_t process, const Stat& stat) { found.emplace(stat.parent, process); });
  return found;
}

}  // namespace

std::vector<pid_t> children(pid_t parent) {
  std::vector<pid_t> found;
  for_each_living([&](pid_t process, const Stat& stat) {
    if (stat.parent == parent) found.push_back(process);
  });
  return found;
}

std::optional<Activity> activity(pid_t process) {
  const Stat stat = stat_of(process);
  return stat.state == '?' ? std::nullopt : std::optional{Activity{stat.state, stat.cpu_ticks}};
}

std::vector<pid_t> processes_with(std::string_view entry) {
  std::vector<pid_t> found;
  for_each_living([&](pid_t process, const Stat& /*stat*/) {
    if (process == getpid()) return;
    std::ifstream in{"/proc/" + std::to_string(process) + "/environ"};
    for (std::string one; std::getline(in, one, '\0');) {
      if (one != entry) continue;
      found.push_back(process);
      return;
    }
  });
  return found;
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
