// A program that ends in many ways; ends_test.cpp starts it. The first argument says in which; there may be a number
// behind it. What a static object, main, a task and a rank write stands in files of the working folder.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <echelon/echelon.hpp>

namespace {

/// Written when the program's static objects are destroyed, by each process in which that happens.
struct Journal {
  explicit Journal(const char* name) : file{name} {}
  ~Journal() { append("destroyed " + text); }
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  void append(const std::string& line) const { std::ofstream{file, std::ios::app} << line << '\n'; }
  const char* file;
  std::string text = "unused";
};

Journal master_journal{"master"};
Journal worker_journal{"worker"};  // of rank 1
std::unique_ptr<echelon::Pool> static_pool;
std::optional<echelon::Results<int>> static_results;
bool dies_late = false;
struct DiesLate {
  ~DiesLate() {
    if (dies_late) raise(SIGSEGV);
  }
} late;

int rank_of_this = 0;
int square(int x) { return x * x; }
int square_and_note(int x) {
  worker_journal.text = "used";
  return x * x;
}

/// exit(status) in the task `deadly`; others take a while.
struct Exits {
  int deadly;
  int status;
  int operator()(int x) const {
    if (x == deadly) {
      std::printf("before exit");  // not flushed
      std::exit(status);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
    return x;
  }
};

int rank_of_worker() {
  const char* const rank = std::getenv("OMPI_COMM_WORLD_RANK");
  return rank == nullptr ? 0 : std::atoi(rank);
}

std::vector<int> numbers(int count) {
  std::vector<int> xs(static_cast<std::size_t>(count));
  std::iota(xs.begin(), xs.end(), 0);
  return xs;
}

int body(echelon::Session& session, const std::string& how, int number, std::vector<int>& results) {
  if (how == "static-pool") {
    static_pool = std::make_unique<echelon::Pool>(session);
    static_results.emplace(static_pool->imap(square, numbers(3)));
    return 0;
  }
  echelon::Pool pool{session};
  results = pool.map(square_and_note, numbers(100));
  master_journal.text = "used";
  if (how == "throw") throw echelon::UsageError("something is wrong");
  if (how == "exit-in-body") std::exit(number);
  if (how == "exit-with-tasks") {
    auto later = pool.map_async(Exits{-1, 0}, numbers(100'000));
    std::exit(number);
  }
  if (how == "exit-in-input") {
    const auto input = numbers(10) | std::views::transform([&](int x) {
                         if (x == 5) std::exit(number);
                         return x;
                       });
    (void)pool.map(square, input);
  }
  if (how == "exit-in-thread") {
    std::thread{[&] { std::exit(number); }}.detach();
    for (;;) (void)pool.map(square, numbers(100));
  }
  if (how == "exit-in-task") (void)pool.map(Exits{500, number}, numbers(1000));
  if (how == "worker-dies-late") {
    pool.apply([](int) { dies_late = rank_of_worker() > 0; }, 0);
  }
  if (how == "child-exits") {
    const pid_t child = fork();
    if (child == 0) std::exit(9);  // which is not of the run
    int status = 0;
    if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 9) return 1;
    results = pool.map(square, numbers(3));
  }
  if (how == "body-returns") return number;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::printf("[main]");  // not flushed
  std::vector<int> results;
  const std::string how = argc > 1 ? argv[argc > 3 && argv[1] == std::string{"-n"} ? 3 : 1] : "";
  const int number = std::atoi(argv[argc - 1]);
  if (how == "parallel") {
    const int status = echelon::parallel(argc, argv, [&](echelon::Session& session) {
      rank_of_this = session.rank();
      session.barrier();
    });
    Journal{"ranks"}.text = "by rank " + std::to_string(rank_of_this);
    return status != 0 ? status : rank_of_this == number ? 7 : 0;
  }
  if (how == "parallel-exit") {
    return echelon::parallel(argc, argv, [&](echelon::Session& session) {
      if (session.rank() == number || number < 0) std::exit(number < 0 ? 2 : 6);
      session.barrier();
    });
  }
  const int status =
      echelon::run(argc, argv, [&](echelon::Session& session) { return body(session, how, number, results); });
  master_journal.append("main goes on");
  if (how == "run-twice") {
    if (echelon::run(argc, argv, [&](echelon::Session& session) { return echelon::Pool{session}.apply(square, 3); }) !=
        9)
      return 1;
  }
  if (how == "static-pool") {
    for (const int y : *static_results) results.push_back(y);
    results.push_back(static_pool->apply(square, 3));
  }
  std::ofstream{"results"} << std::accumulate(results.begin(), results.end(), 0) << '\n';
  if (how == "crash-after") raise(SIGSEGV);
  if (how == "leave-after") _exit(0);
  if (how == "die-late") dies_late = true;
  if (how == "return-after") return number;
  if (how == "exit-after") std::exit(number);
  return status;
}
