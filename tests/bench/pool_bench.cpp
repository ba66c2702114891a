// Measures the pool, one thing a run, and prints the figures that pool.sh collects, a name and a number a line:
//     pool_bench -n 3 noop TASKS CHUNK           tasks a second of map over tasks that do nothing; CHUNK 0: the
//     default;
//                                                and messages between nodes a task, where there are several
//     pool_bench -n 2 apply CALLS                microseconds from a call to its result
//     pool_bench -n 3 idle SECONDS               CPU of all ranks while their workers sleep through tasks of 100 ms
//     pool_bench -n 2 memory TASKS               growth of the master over tasks that are made and taken one by one
//     pool_bench -n 3 skew last|random SECONDS   wall time of sleeping tasks of lognormal lengths against the ideal
//     pool_bench -n 2 payload GIB                one argument and one result of that size
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <numeric>
#include <random>
#include <ranges>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include <echelon/base/number.hpp>
#include <echelon/echelon.hpp>

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr double mib = 1 << 20;

void print(std::string_view what, double number) {
  std::printf("%.*s %.6g\n", static_cast<int>(what.size()), what.data(), number);
}

double seconds_since(Clock::time_point begin) { return Seconds{Clock::now() - begin}.count(); }

/// A field of /proc/self/status in MiB: VmRSS, or VmHWM for its maximum.
double memory_mib(std::string_view field) {
  std::ifstream status{"/proc/self/status"};
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field)) return std::stod(line.substr(field.size() + 1)) / 1024;
  }
  throw std::runtime_error("/proc/self/status lacks a line");
}

/// From now on VmHWM is the maximum since now.
void forget_most_memory() { std::ofstream{"/proc/self/clear_refs"} << 5; }

/// Of this process, all its threads.
double own_cpu_s() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void noop(echelon::Pool& pool, std::uint64_t tasks, std::uint64_t chunk) {
  std::vector<int> xs(tasks);
  std::iota(xs.begin(), xs.end(), 0);
  echelon::TaskOptions options;
  if (chunk > 0) options.chunk = chunk;
  const auto same = [](int x) { return x; };
  (void)pool.map(same, std::vector<int>(xs.begin(), xs.begin() + static_cast<std::ptrdiff_t>(tasks / 10)), options);
  const double cpu_before_s = own_cpu_s();
  const auto begin = Clock::now();
  const std::vector<int> ys = pool.map(same, xs, options);
  print("tasks_a_second", static_cast<double>(tasks) / seconds_since(begin));
  print("master_ns_a_task", (own_cpu_s() - cpu_before_s) / static_cast<double>(tasks) * 1e9);
  std::uint64_t messages = 0;
  for (const auto& rank : pool.report().ranks) messages += rank.between_nodes_messages;
  print("between_nodes_messages_a_task", static_cast<double>(messages) / (1.1 * static_cast<double>(tasks)));
  if (ys != xs) throw std::runtime_error("a wrong result");
}

void apply(echelon::Pool& pool, std::uint64_t calls) {
  const auto same = [](int x) { return x; };
  for (std::uint64_t i = 0; i < calls / 10; ++i) (void)pool.apply(same, 1);
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < calls; ++i) {
    if (pool.apply(same, 7) != 7) throw std::runtime_error("a wrong result");
  }
  print("apply_us", seconds_since(begin) / static_cast<double>(calls) * 1e6);
}

struct Process {
  double cpu_s;
  pid_t parent;
};

Process look_at(pid_t pid) {
  std::ifstream file{"/proc/" + std::to_string(pid) + "/stat"};
  std::string line;
  std::getline(file, line);
  std::istringstream fields{line.substr(line.rfind(')') + 1)};
  std::string state;
  pid_t parent = 0;
  fields >> state >> parent;
  std::string skipped;
  for (int i = 0; i < 9; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return {(user + system) / static_cast<double>(sysconf(_SC_CLK_TCK)), parent};
}

double cpu_s(const std::set<pid_t>& processes) {
  return std::transform_reduce(processes.begin(), processes.end(), 0.0, std::plus{},
                               [](pid_t pid) { return look_at(pid).cpu_s; });
}

void idle(echelon::Pool& pool, double seconds) {
  const auto nap = [](int ms) {
    std::this_thread::sleep_for(std::chrono::milliseconds{ms});
    return static_cast<int>(getpid());
  };
  const auto workers = static_cast<std::size_t>(pool.workers());
  std::set<pid_t> ranks{getpid()};
  while (ranks.size() <= workers) {
    for (const int pid : pool.map(nap, std::vector<int>(4 * workers, 10))) ranks.insert(pid);
  }
  const std::set<pid_t> launcher{getppid()};
  const auto tasks = workers * static_cast<std::size_t>(seconds / 0.1);
  const double before = cpu_s(ranks);
  const double before_launcher = cpu_s(launcher);
  const auto begin = Clock::now();
  (void)pool.map(nap, std::vector<int>(tasks, 100));
  const double wall_s = seconds_since(begin);
  print("cpu_percent", (cpu_s(ranks) - before) / wall_s * 100);
  print("mpirun_percent", (cpu_s(launcher) - before_launcher) / wall_s * 100);
  print("wall_s", wall_s);
}

void memory(echelon::Pool& pool, std::uint64_t tasks) {
  // A filter hides how many there are.
  auto numbers = std::views::iota(std::uint64_t{0}, tasks) | std::views::filter([](std::uint64_t) { return true; });
  std::uint64_t taken = 0;
  std::uint64_t sum = 0;
  double before = 0;
  const auto begin = Clock::now();
  for (const std::uint64_t y : pool.imap([](std::uint64_t x) { return x; }, numbers)) {
    sum += y;
    if (++taken != tasks / 20) continue;
    before = memory_mib("VmRSS:");
    forget_most_memory();
  }
  print("tasks_a_second", static_cast<double>(tasks) / seconds_since(begin));
  print("growth_mib", memory_mib("VmHWM:") - before);
  if (taken != tasks || sum != tasks * (tasks - 1) / 2) throw std::runtime_error("a wrong result");
}

/// The wall time of tasks that are begun in this order, each by the first worker that is free.
double list_schedule_s(const std::vector<double>& lengths_s, std::size_t workers) {
  std::vector<double> free_at_s(workers, 0.0);
  for (const double length_s : lengths_s) *std::ranges::min_element(free_at_s) += length_s;
  return *std::ranges::max_element(free_at_s);
}

void skew(echelon::Pool& pool, std::string_view order, double total_s) {
  constexpr std::size_t tasks = 300;
  constexpr double sigma = 1.5;
  std::mt19937_64 random{12345};
  std::lognormal_distribution<double> lengths{0.0, sigma};
  std::vector<double> lengths_s(tasks);
  std::ranges::generate(lengths_s, [&] { return lengths(random); });
  const double scale = total_s / std::accumulate(lengths_s.begin(), lengths_s.end(), 0.0);
  for (double& length_s : lengths_s) length_s *= scale;
  if (order == "last") std::iter_swap(std::ranges::max_element(lengths_s), lengths_s.end() - 1);

  const auto workers = static_cast<std::size_t>(pool.workers());
  const double longest_s = *std::ranges::max_element(lengths_s);
  const double ideal_s = std::max(total_s / static_cast<double>(workers), longest_s);
  const auto begin = Clock::now();
  (void)pool.map(
      [](double length_s) {
        std::this_thread::sleep_for(Seconds{length_s});
        return 0;
      },
      lengths_s);
  const double wall_s = seconds_since(begin);
  const double list_s = list_schedule_s(lengths_s, workers);
  print("to_ideal", wall_s / ideal_s);
  print("list_to_ideal", list_s / ideal_s);
  print("to_list", wall_s / list_s);
}

double most_memory_mib() { return memory_mib("VmHWM:"); }

void payload(echelon::Pool& pool, double gib) {
  const auto bytes = static_cast<std::uint64_t>(gib * 1024 * mib);
  const double before = memory_mib("VmRSS:");
  const auto workers_memory = [&] { return pool.apply(most_memory_mib); };
  std::vector<char> argument(bytes, 1);
  auto begin = Clock::now();
  const std::uint64_t got =
      pool.apply([](const std::vector<char>& taken) { return taken.size() + static_cast<std::uint64_t>(taken.back()); },
                 std::move(argument));
  print("argument_gb_s", static_cast<double>(bytes) / seconds_since(begin) / 1e9);
  print("argument_master_times", (most_memory_mib() - before) * mib / static_cast<double>(bytes));
  print("argument_worker_times", workers_memory() * mib / static_cast<double>(bytes));
  forget_most_memory();
  begin = Clock::now();
  const std::vector<char> result = pool.apply(
      [](std::uint64_t size) {
        forget_most_memory();
        return std::vector<char>(size, 2);
      },
      bytes);
  print("result_gb_s", static_cast<double>(bytes) / seconds_since(begin) / 1e9);
  print("result_master_times", (most_memory_mib() - before) * mib / static_cast<double>(bytes));
  print("result_worker_times", workers_memory() * mib / static_cast<double>(bytes));
  if (got != bytes + 1 || result.size() != bytes || result.back() != 2) throw std::runtime_error("a wrong result");
}

}  // namespace

int main(int argc, char** argv) {
  return echelon::run(argc, argv, [&](echelon::Session& session) {
    const std::vector<std::string_view> words(argv + 1, argv + argc);
    const auto is = [&](std::string_view mode, std::size_t numbers) {
      return !words.empty() && words[0] == mode && words.size() == 1 + numbers;
    };
    const auto count = [&](std::size_t i) { return echelon::base::parse_count(words[i], 0, UINT64_MAX); };
    const auto number = [&](std::size_t i) { return std::stod(std::string{words[i]}); };
    echelon::Pool pool{session};
    if (is("noop", 2)) {
      noop(pool, count(1), count(2));
    } else if (is("apply", 1)) {
      apply(pool, count(1));
    } else if (is("idle", 1)) {
      idle(pool, number(1));
    } else if (is("memory", 1)) {
      memory(pool, count(1));
    } else if (is("skew", 2)) {
      skew(pool, words[1], number(2));
    } else if (is("payload", 1)) {
      payload(pool, number(1));
    } else {
      throw echelon::base::UsageError("pool_bench: see its first lines for what to write here");
    }
  });
}
