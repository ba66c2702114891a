#include "left_behind.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>

#include <echelon/base/processes.hpp>

namespace echelon::launch {
namespace {

/// What ends by itself with its rank, as what reads a pipe from there, may do so.
constexpr std::chrono::milliseconds grace{300};

std::string name_of(pid_t process) {
  std::string name;
  std::ifstream file{fmt::format("/proc/{}/comm", process)};
  std::getline(file, name);
  return name;
}

}  // namespace

LeftBehind::LeftBehind(pid_t launcher, std::vector<pid_t> spared) : spared_{std::move(spared)}, not_ours_{spared_} {
  not_ours_.push_back(launcher);
}

void LeftBehind::look() {
  const std::vector<pid_t> left = base::descendants(not_ours_);
  if (left.empty()) return;
  // A launcher that has ended meanwhile, as one that was killed, would leave its ranks here, too.
  const std::vector<pid_t> all = base::descendants(spared_);
  if (std::ranges::find(all, not_ours_.back()) == all.end()) return;
  for (const pid_t process : left) names_[process] = name_of(process);
  if (all.size() > left.size() + 1) return;  // the launcher has more than itself
  const auto now = std::chrono::steady_clock::now();
  if (!alone_since_) alone_since_ = now;
  if (now - *alone_since_ < grace) return;
  for (const pid_t process : left) {
    if (kill(process, SIGKILL) == 0) ended_[process] = names_[process];
  }
}

std::string LeftBehind::finish() {
  const auto left = [&] {
    std::vector<pid_t> found = base::descendants(spared_);
    std::erase_if(found, [&](pid_t process) { return !names_.contains(process) || ended_.contains(process); });
    return found;
  };
  const auto until = std::chrono::steady_clock::now() + grace;
  while (!left().empty() && std::chrono::steady_clock::now() < until) {
    poll(nullptr, 0, 10);
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
  for (const pid_t process : left()) {
    if (kill(process, SIGKILL) == 0) ended_[process] = names_[process];
  }
  if (ended_.empty()) return {};
  std::set<std::string> names;
  for (const auto& [process, name] : ended_) names.insert(name);
  constexpr std::size_t most = 3;
  std::string list;
  for (auto name = names.begin(); name != names.end() && list.size() < most * 16; ++name) {
    list += (list.empty() ? "" : ", ") + *name;
  }
  return fmt::format("echelon: ended {} that the run had left behind: {}\n",
                     ended_.size() == 1 ? "a process" : fmt::format("{} processes", ended_.size()), list);
}

void end_descendants(const std::vector<pid_t>& spared) {
  constexpr int tries = 500;  // of 10 ms: what is stuck in the kernel does not end
  for (int i = 0; i < tries; ++i) {
    const std::vector<pid_t> living = base::descendants(spared);
    if (living.empty()) return;
    for (const pid_t process : living) kill(process, SIGKILL);
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    poll(nullptr, 0, 10);
  }
}

std::filesystem::path files_of_mpirun(pid_t mpirun) {
  const std::string folder = fmt::format("/pid.{}", mpirun);
  std::ifstream maps{fmt::format("/proc/{}/maps", mpirun)};
  for (std::string line; std::getline(maps, line);) {
    const std::size_t begin = line.find('/');
    const std::size_t end = line.find(folder + '/');
    if (end == std::string::npos || line.find("/ompi.") >= end) continue;
    return line.substr(begin, end + folder.size() - begin);
  }
  return {};
}

void remove_files_of_mpirun(const std::filesystem::path& folder) {
  std::error_code ignored;
  if (folder.empty()) return;
  std::filesystem::remove_all(folder, ignored);
  std::filesystem::remove(folder.parent_path(), ignored);  // where no other run's are in it
}

}  // namespace echelon::launch
