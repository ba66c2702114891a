#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <string_view>

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <echelon/base/death.hpp>
#include <echelon/base/processes.hpp>

namespace echelon::base {
namespace {

/// The first version of the kernel's struct pidfd_info, which <linux/pidfd.h> has from 6.15 on.
struct PidfdInfo {
  std::uint64_t mask;
  std::uint64_t cgroup;
  std::array<std::uint32_t, 11> ids;
  std::int32_t exit_code;  // as of wait()
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr unsigned long pidfd_get_info = _IOWR(0xFF, 11, PidfdInfo);
constexpr std::uint64_t pidfd_info_exit = 1U << 3;
/// Until the parent has waited for the process, which mpirun does at once.
constexpr int longest_wait_ms = 1000;

/// The number behind a key that begins a line.
std::uint64_t count_in(const std::string& path, std::string_view key) {
  std::ifstream file{path};
  std::uint64_t value = 0;
  for (std::string word; file >> word;) {
    if (word == key && file >> value) return value;
  }
  return 0;
}

/// Processes that the kernel has killed for want of memory, in this cgroup and on this host.
std::uint64_t out_of_memory_kills() {
  std::uint64_t kills = count_in("/proc/vmstat", "oom_kill");
  std::ifstream cgroups{"/proc/self/cgroup"};
  for (std::string line; std::getline(cgroups, line);) {  // number:controllers:path
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) kills += count_in("/sys/fs/cgroup" + path + "/memory.events", "oom_kill");
    if (controllers == "memory") kills += count_in("/sys/fs/cgroup/memory" + path + "/memory.oom_control", "oom_kill");
  }
  return kills;
}

Death of_wait_status(int status) {
  if (WIFSIGNALED(status)) return {Death::How::signal, WTERMSIG(status)};
  return {Death::How::status, WEXITSTATUS(status)};
}

}  // namespace

std::string describe(const Death& death) {
  switch (death.how) {
    case Death::How::unknown: return "ended without a word";
    case Death::How::signal: {
      const char* const name = strsignal(death.number);
      return fmt::format("was killed by signal {} ({})", death.number, name == nullptr ? "unknown" : name);
    }
    case Death::How::status: return fmt::format("ended with status {}", death.number);
    case Death::How::out_of_memory: return "was killed by the kernel, which was out of memory";
    case Death::How::stopped: return "was stopped for too long";
    case Death::How::silent: return "was silent for too long";
  }
  return {};
}

std::uint64_t encode(const Death& death) {
  return static_cast<std::uint64_t>(death.how) << 32 | static_cast<std::uint32_t>(death.number);
}

Death decode_death(std::uint64_t code) {
  return {static_cast<Death::How>(code >> 32), static_cast<int>(static_cast<std::uint32_t>(code))};
}

void DeathWatch::watch(int rank, pid_t process) {
  if (processes_.empty()) out_of_memory_kills_ = out_of_memory_kills();
  processes_[rank] = {process, Descriptor{static_cast<int>(syscall(SYS_pidfd_open, process, 0))}};
}

Death DeathWatch::ended(int rank) {
  const auto found = processes_.find(rank);
  if (found == processes_.end() || !found->second.pidfd.is_open()) return {};
  const int pidfd = found->second.pidfd.get();
  PidfdInfo info{};
  const auto ask = [&] {
    info.mask = pidfd_info_exit;
    return ioctl(pidfd, pidfd_get_info, &info) == 0;
  };
  Death death;
  if (ask() || errno != ENOTTY) {    // an older kernel never tells: there is nothing to wait for
    pollfd waited_for{pidfd, 0, 0};  // POLLHUP
    (void)poll(&waited_for, 1, longest_wait_ms);
    if (ask() && (info.mask & pidfd_info_exit) != 0) death = of_wait_status(info.exit_code);
  }
  const std::uint64_t kills = out_of_memory_kills();
  const bool is_killed = death == Death{Death::How::signal, SIGKILL} || death.how == Death::How::unknown;
  if (is_killed && kills > out_of_memory_kills_) death = {Death::How::out_of_memory, SIGKILL};
  out_of_memory_kills_ = kills;
  return death;
}

Death DeathWatch::silent(int rank) const {
  const auto found = processes_.find(rank);
  if (found == processes_.end()) return {Death::How::silent, 0};
  const auto activity = base::activity(found->second.pid);
  const char state = activity ? activity->state : '?';
  return {state == 'T' || state == 't' ? Death::How::stopped : Death::How::silent, 0};
}

}  // namespace echelon::base
