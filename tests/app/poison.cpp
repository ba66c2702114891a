// A program some of whose tasks crash; poison_test.cpp starts it. Each argument is a round on a pool of its own:
// CALL,HOW,TASKS[,OPTION...] with the call, how the tasks crash, their numbers with + between them, and options. A
// round prints its argument, how many tasks were good, and the others' errors.
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <mpi.h>
#include <sys/resource.h>
#include <unistd.h>

#include <echelon/echelon.hpp>

namespace {

constexpr int tasks = 40;

enum class How : int { segv, abort, kill, stack, memory, exit, mpi };
const std::map<std::string, How> hows{{"segv", How::segv},   {"abort", How::abort},   {"kill", How::kill},
                                      {"stack", How::stack}, {"memory", How::memory}, {"exit", How::exit},
                                      {"mpi", How::mpi}};

int overflow_stack(int depth) {
  volatile char frame[4096] = {};  // NOLINT: each call needs its own
  frame[0] = static_cast<char>(depth);
  return depth < 0 ? 0 : overflow_stack(depth + 1) + frame[0];
}

/// Where new fails, nobody catches it.
void exhaust_memory() noexcept {
  rlimit limit{};
  getrlimit(RLIMIT_AS, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, std::size_t{1} << 30);
  setrlimit(RLIMIT_AS, &limit);
  std::vector<std::vector<char>> hoard;
  for (;;) hoard.emplace_back().reserve(std::size_t{1} << 26);
}

void die(How how) {
  switch (how) {
    case How::segv: std::raise(SIGSEGV); break;
    case How::abort: std::abort();
    case How::kill: std::raise(SIGKILL); break;
    case How::stack: (void)overflow_stack(0); break;
    case How::memory: exhaust_memory(); break;
    case How::exit: _exit(3);
    case How::mpi: {  // the worker is lost once; the task is as good as any
      int rank = 0;
      MPI_Comm_rank(MPI_COMM_WORLD, &rank);
      if (rank == 1) std::raise(SIGKILL);
      break;
    }
  }
}

struct Task {
  std::array<int, 4> poison{-1, -1, -1, -1};
  How how = How::segv;

  int operator()(int x) const {
    if (std::ranges::find(poison, x) != poison.end()) die(how);
    return 3 * x;
  }
};

struct Round {
  explicit Round(const std::string& text) {
    std::istringstream words{text};
    std::string how;
    std::string numbers;
    std::getline(words, call, ',');
    std::getline(words, how, ',');
    std::getline(words, numbers, ',');
    task.how = hows.at(how);
    std::istringstream list{numbers};
    std::string number;
    for (std::size_t i = 0; std::getline(list, number, '+'); ++i) task.poison.at(i) = std::stoi(number);
    for (std::string option; std::getline(words, option, ',');) {
      if (option == "master") master_works = true;
      if (option == "isolate") options.isolate = true;
      if (option.starts_with("chunk=")) options.chunk = std::stoul(option.substr(6));
      if (option.starts_with("retries=")) options.retries = static_cast<unsigned>(std::stoul(option.substr(8)));
      if (option.starts_with("window=")) options.window = std::stoul(option.substr(7));
    }
  }

  std::string call;
  Task task;
  echelon::TaskOptions options;
  bool master_works = false;
};

void run(echelon::Session& session, const std::string& text) {
  const Round round{text};
  echelon::Pool pool{session, {.master_works = round.master_works}};
  std::vector<int> xs(tasks);
  std::iota(xs.begin(), xs.end(), 0);
  int good = 0;
  std::vector<std::string> errors;
  const auto count = [&](const auto& get) {
    try {
      good += get() % 3 == 0 ? 1 : 0;
    } catch (const echelon::TaskError& e) {
      errors.emplace_back(e.what());
    }
  };
  if (round.call == "outcomes") {
    for (auto& outcome : pool.outcomes(round.task, xs, round.options)) count([&] { return outcome.value(); });
  } else if (round.call == "imap") {
    for (auto results = pool.imap(round.task, xs, round.options); auto outcome = results.next_outcome();) {
      count([&] { return outcome->value(); });
    }
  } else if (round.call == "apply") {
    std::vector<echelon::AsyncResult<int>> results;
    for (const int x : xs) results.push_back(pool.apply_async(round.task, x));
    for (auto& result : results) count([&] { return result.get(); });
  } else {
    throw echelon::UsageError("no such call: " + round.call);
  }
  std::printf("%s: %d good\n", text.c_str(), good);
  for (const std::string& error : errors) std::printf("  %s\n", error.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> rounds;
  std::thread idle;
  for (int i = 1; i < argc; ++i) {
    if (argv[i] == std::string_view{"--thread"}) idle = std::thread{[] { pause(); }};
  }
  if (idle.joinable()) idle.detach();
  return echelon::run(argc, argv, [&](echelon::Session& session) {
    for (int i = 1; i < argc; ++i) {
      if (argv[i] != std::string_view{"--thread"}) run(session, argv[i]);
    }
  });
}
