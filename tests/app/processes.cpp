// A program whose tasks, callbacks and body start processes: PROGRAM -n RANKS WHAT. processes_test.cpp starts it.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <echelon/echelon.hpp>

namespace {

using echelon::Pool;
using echelon::Session;

/// Its status where it exits.
int wait_for(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

enum class Way { returns, throws, exits };

/// Task 5 forks.
int work(int x, Way way) {
  if (x != 5) return x;
  const pid_t child = fork();
  if (child > 0) return wait_for(child) + 100;
  execl("/no/such/program", "x", nullptr);
  if (way == Way::exits) std::exit(7);
  if (way == Way::throws) throw std::runtime_error("cannot start it");
  return x;
}

int map(Session& session, Way way, echelon::PoolOptions options = {}) {
  std::vector<int> xs(40);
  std::iota(xs.begin(), xs.end(), 0);
  Pool pool{session, options};
  const auto results = pool.map([way](int x) { return work(x, way); }, xs, {.chunk = 4});
  std::printf("%d %d\n", results[5], std::accumulate(results.begin(), results.end(), 0));
  return 0;
}

int fork_in_callback(Session& session) {
  Pool pool{session};
  int status = -1;
  pool.apply_async([](int x) { return x; }, 1).then([&](int) {
    const pid_t child = fork();
    if (child > 0) status = wait_for(child);
  });
  pool.close();
  pool.join();
  std::printf("%d\n", status);
  return 0;
}

int fork_in_body(Session& session) {
  const pid_t child = fork();
  if (child == 0) return 3;
  Pool pool{session};
  std::printf("%d %d\n", pool.apply([](int x) { return x; }, 1), wait_for(child));
  return 0;
}

int leave(Session& session, const char* command) {
  Pool pool{session};
  std::printf("%d\n", pool.apply([](const std::string& text) { return std::system(text.c_str()); }, command));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, int (*)(Session&)> all{
      {"returns", [](Session& s) { return map(s, Way::returns); }},
      {"throws", [](Session& s) { return map(s, Way::throws); }},
      {"exits", [](Session& s) { return map(s, Way::exits); }},
      {"returns_on_master", [](Session& s) { return map(s, Way::returns, {.master_works = true}); }},
      {"callback", fork_in_callback},
      {"body", fork_in_body},
      {"leaves", [](Session& s) { return leave(s, "sleep 600 &"); }},
      {"leaves_silent", [](Session& s) { return leave(s, "sleep 600 > /dev/null 2>&1 < /dev/null &"); }},
  };
  const std::string what = argv[argc - 1];
  return echelon::run(argc, argv, all.at(what));
}
