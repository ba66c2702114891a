#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <memory>
#include <numeric>
#include <set>
#include <stdexcept>
#include <system_error>

#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <echelon/measure/machine.hpp>

namespace echelon::measure {
namespace {

int parse_cpu(std::string_view text) {
  int cpu = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cpu);
  if (error != std::errc{} || end != text.data() + text.size() || cpu < 0) {
    throw std::invalid_argument("not a CPU list: '" + std::string{text} + "'");
  }
  return cpu;
}

std::optional<std::string> first_line(const std::filesystem::path& file) {
  std::ifstream in{file};
  std::string line;
  if (!std::getline(in, line)) return std::nullopt;
  return line;
}

/// "150000 100000" is 1.5; "max 100000" is no limit.
std::optional<double> parse_cpu_max(const std::string& line) {
  const std::size_t space = line.find(' ');
  if (space == std::string::npos || line.starts_with("max")) return std::nullopt;
  const double quota = std::atof(line.c_str());
  const double period = std::atof(line.c_str() + space);
  return quota > 0 && period > 0 ? std::optional{quota / period} : std::nullopt;
}

std::optional<double> quota_of_v2(const std::filesystem::path& group) {
  const auto line = first_line(group / "cpu.max");
  return line ? parse_cpu_max(*line) : std::nullopt;
}

std::optional<double> quota_of_v1(const std::filesystem::path& group) {
  const auto quota = first_line(group / "cpu.cfs_quota_us");
  const auto period = first_line(group / "cpu.cfs_period_us");
  return quota && period ? parse_cpu_max(*quota + " " + *period) : std::nullopt;
}

std::optional<double> tightest(std::optional<double> a, std::optional<double> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

}  // namespace

std::string format_cpu_list(const std::vector<int>& cpus) {
  std::string list;
  for (std::size_t begin = 0; begin < cpus.size();) {
    std::size_t end = begin + 1;
    while (end < cpus.size() && cpus[end] == cpus[end - 1] + 1) ++end;
    if (!list.empty()) list += ',';
    list += std::to_string(cpus[begin]);
    if (end - begin > 1) list += '-' + std::to_string(cpus[end - 1]);
    begin = end;
  }
  return list;
}

std::vector<int> parse_cpu_list(std::string_view list) {
  std::vector<int> cpus;
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view item = list.substr(0, comma);
    const std::size_t dash = item.find('-');
    const int first = parse_cpu(item.substr(0, dash));
    const int last = dash == std::string_view::npos ? first : parse_cpu(item.substr(dash + 1));
    if (last < first || (!cpus.empty() && first <= cpus.back()) || comma == list.size() - 1) {
      throw std::invalid_argument("not a CPU list: '" + std::string{list} + "'");
    }
    for (int cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
    list.remove_prefix(std::min(list.size(), item.size() + 1));
  }
  return cpus;
}

std::vector<int> affinity() {
  // The kernel refuses a set smaller than its own, however few CPUs it has.
  for (int capacity = 1024;; capacity *= 2) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set{CPU_ALLOC(capacity), [](cpu_set_t* s) { CPU_FREE(s); }};
    const std::size_t size = CPU_ALLOC_SIZE(capacity);
    if (sched_getaffinity(0, size, set.get()) == 0) {
      std::vector<int> cpus;
      for (int cpu = 0; cpu < capacity; ++cpu) {
        if (CPU_ISSET_S(cpu, size, set.get())) cpus.push_back(cpu);
      }
      return cpus;
    }
    if (errno != EINVAL || capacity > (1 << 24)) throw std::system_error(errno, std::generic_category(), "affinity");
  }
}

std::uint64_t online_cpus() { return static_cast<std::uint64_t>(std::max(sysconf(_SC_NPROCESSORS_ONLN), 1L)); }

std::uint64_t whole_cores(const std::vector<int>& cpus, const std::filesystem::path& root) {
  std::set<std::string> cores;  // named by the list of their threads
  for (const int cpu : cpus) {
    const std::string number = std::to_string(cpu);
    const std::filesystem::path topology = root / "sys/devices/system/cpu" / ("cpu" + number) / "topology";
    cores.insert(first_line(topology / "thread_siblings_list").value_or(number));
  }
  return cores.size();
}

std::optional<double> cgroup_cpu_quota(const std::filesystem::path& root) {
  std::optional<double> quota;
  std::ifstream groups{root / "proc/self/cgroup"};
  for (std::string line; std::getline(groups, line);) {
    // hierarchy:controllers:path, with no controllers in v2
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = ',' + line.substr(first + 1, second - first - 1) + ',';
    const bool v2 = controllers == ",,";
    if (!v2 && controllers.find(",cpu,") == std::string::npos) continue;
    const std::filesystem::path mount = root / (v2 ? "sys/fs/cgroup" : "sys/fs/cgroup/cpu");
    // In a container the path may be the host's and not be there: then the mount itself is this process's group.
    std::filesystem::path group = std::filesystem::path{line.substr(second + 1)}.relative_path();
    while (true) {
      quota = tightest(quota, v2 ? quota_of_v2(mount / group) : quota_of_v1(mount / group));
      if (group.empty()) break;
      group = group.parent_path();
    }
  }
  return quota;
}

std::uint64_t usable_cpus(std::uint64_t affinity, std::optional<double> quota,
                          std::optional<std::uint64_t> slurm) noexcept {
  std::uint64_t usable = affinity;
  if (quota) usable = std::min(usable, static_cast<std::uint64_t>(std::ceil(*quota)));
  if (slurm) usable = std::min(usable, *slurm);
  return std::max<std::uint64_t>(usable, 1);
}

std::uint64_t usable_cpus() { return usable_cpus(affinity().size(), cgroup_cpu_quota(), slurm_cpus()); }

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::nullopt : std::optional<std::string>{value};
}

std::optional<std::uint64_t> slurm_cpus(const Environment& look_up) {
  const auto value = look_up("SLURM_CPUS_ON_NODE");
  if (!value) return std::nullopt;
  const int cpus = std::atoi(value->c_str());
  return cpus > 0 ? std::optional{static_cast<std::uint64_t>(cpus)} : std::nullopt;
}

std::optional<Slurm> slurm_context(const Environment& look_up) {
  if (!look_up("SLURM_JOB_ID")) return std::nullopt;
  Slurm slurm;
  for (const char* name : {"SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_CLUSTER_NAME", "SLURM_JOB_PARTITION",
                           "SLURM_JOB_NODELIST", "SLURM_JOB_NUM_NODES", "SLURM_NTASKS", "SLURM_CPUS_PER_TASK",
                           "SLURM_CPUS_ON_NODE", "SLURM_STEP_ID", "SLURM_RESTART_COUNT"}) {
    if (const auto value = look_up(name)) slurm.emplace_back(name, *value);
  }
  return slurm;
}

namespace {

/// Numbers of each node, as SLURM writes them: 16,8(x2) is 16, 8, 8. Nothing where it is not that.
std::optional<std::vector<std::uint64_t>> parse_node_list(std::string_view text) {
  constexpr std::uint64_t most_nodes = 1'000'000;
  std::vector<std::uint64_t> numbers;
  const auto take = [&](std::uint64_t& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
  };
  const auto skip = [&](std::string_view what) {
    if (!text.starts_with(what)) return false;
    text.remove_prefix(what.size());
    return true;
  };
  do {
    std::uint64_t number = 0;
    std::uint64_t times = 1;
    if (!take(number)) return std::nullopt;
    if (skip("(x") && (!take(times) || times > most_nodes || !skip(")"))) return std::nullopt;
    numbers.insert(numbers.end(), times, number);
  } while (skip(","));
  return text.empty() ? std::optional{numbers} : std::nullopt;
}

}  // namespace

std::uint64_t Allocation::cpus() const { return std::accumulate(node_cpus.begin(), node_cpus.end(), std::uint64_t{0}); }

std::uint64_t Allocation::ranks(std::uint64_t threads) const {
  if (tasks) return *tasks;
  std::uint64_t ranks = 0;
  for (const std::uint64_t cpus : node_cpus) ranks += cpus / threads;
  return std::max<std::uint64_t>(ranks, 1);
}

std::uint64_t Allocation::nodes_for(std::uint64_t ranks, std::uint64_t threads) const {
  std::uint64_t room = 0;
  std::uint64_t nodes = 0;
  while (nodes < node_cpus.size() && room < ranks) room += node_cpus[nodes++] / threads;
  return std::min(nodes, ranks);
}

std::optional<Allocation> slurm_allocation(const Environment& look_up) {
  const auto list = [&](const char* name) {
    const auto value = look_up(name);
    return value ? parse_node_list(*value) : std::nullopt;
  };
  const auto cpus = list("SLURM_JOB_CPUS_PER_NODE");
  if (!look_up("SLURM_JOB_ID") || !cpus) return std::nullopt;
  Allocation allocation{.node_cpus = *cpus, .node_tasks = {}, .tasks = {}};
  if (const auto tasks = list("SLURM_TASKS_PER_NODE")) allocation.node_tasks = *tasks;
  if (const auto tasks = list("SLURM_NTASKS"); tasks && tasks->size() == 1 && tasks->front() > 0) {
    allocation.tasks = tasks->front();
  }
  return allocation;
}

namespace {

/// What stands between commas that are in no brackets; nothing where brackets do not match.
std::optional<std::vector<std::string_view>> split_outside_brackets(std::string_view text) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  bool inside = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == (inside ? '[' : ']')) return std::nullopt;
    if (text[at] == '[' || text[at] == ']') inside = !inside;
    if (text[at] != ',' || inside) continue;
    parts.push_back(text.substr(begin, at - begin));
    begin = at + 1;
  }
  parts.push_back(text.substr(begin));
  return inside ? std::nullopt : std::optional{parts};
}

/// Adds the names of a pattern such as rack[1-2]n[01-04]. False where it is none, or is too many.
bool expand_hosts(const std::string& done, std::string_view pattern, std::vector<std::string>& names) {
  constexpr std::size_t most = 100'000;
  const std::size_t open = pattern.find('[');
  if (open == std::string_view::npos) {
    names.push_back(done + std::string{pattern});
    return names.size() <= most;
  }
  const std::size_t close = pattern.find(']', open);
  const auto items = split_outside_brackets(pattern.substr(open + 1, close - open - 1));
  for (const std::string_view item : *items) {
    const std::string_view first = item.substr(0, item.find('-'));
    const std::string_view last = item.substr(item.find('-') + 1);  // the same, where there is no range
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    const auto is_number = [](std::string_view text, std::uint64_t& number) {
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      return error == std::errc{} && end == text.data() + text.size();
    };
    if (!is_number(first, from) || !is_number(last, to) || to < from || to - from >= most) return false;
    for (std::uint64_t number = from; number <= to; ++number) {
      std::string digits = std::to_string(number);
      if (digits.size() < first.size()) digits.insert(0, first.size() - digits.size(), '0');
      const std::string begin = done + std::string{pattern.substr(0, open)} + digits;
      if (!expand_hosts(begin, pattern.substr(close + 1), names)) return false;
    }
  }
  return true;
}

}  // namespace

std::vector<std::string> slurm_nodes(const Environment& look_up) {
  const auto list = look_up("SLURM_JOB_NODELIST");
  if (!list || list->empty()) return {};
  const auto patterns = split_outside_brackets(*list);
  if (!patterns) return {*list};
  std::vector<std::string> names;
  for (const std::string_view pattern : *patterns) {
    if (pattern.empty() || !expand_hosts("", pattern, names)) return {*list};
  }
  return names;
}

std::string host_name() {
  utsname names{};
  return uname(&names) == 0 ? names.nodename : "unknown";
}

std::string cpu_model() {
  std::ifstream info{"/proc/cpuinfo"};
  for (std::string line; std::getline(info, line);) {
    if (!line.starts_with("model name") && !line.starts_with("Model")) continue;
    const std::size_t value = line.find_first_not_of(" \t", line.find(':') + 1);
    if (value != std::string::npos) return line.substr(value);
  }
  utsname names{};
  return uname(&names) == 0 ? names.machine : "unknown";
}

Usage usage() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return std::chrono::duration<double>{static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec)};
  };
  return {seconds(used.ru_utime) + seconds(used.ru_stime), static_cast<std::uint64_t>(used.ru_maxrss) * 1024};
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::string text(sizeof "2026-11-21T08:15:30Z", '\0');
  text.resize(std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc));
  return text;
}

}  // namespace echelon::measure
