// A program that is asked to stop; stops_test.cpp starts it, as MODE TASKS MILLISECONDS. In the working folder it makes
// "begun" when tasks run. Each task leaves a line in "started" and one in "ended"; what is saved is a line in "saved".
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <echelon/echelon.hpp>

namespace {

/// In one piece, whoever else writes.
void append(const char* file, const std::string& line) {
  const int out = open(file, O_WRONLY | O_CREAT | O_APPEND, 0666);
  if (out < 0 || write(out, (line + '\n').c_str(), line.size() + 1) < 0) std::abort();
  close(out);
}

struct Task {
  int ms;
  long operator()(int x) const {
    append("started", std::to_string(x));
    std::this_thread::sleep_for(std::chrono::milliseconds{ms});
    append("ended", std::to_string(x));
    return 2L * x;
  }
};

std::vector<int> numbers(int count) {
  std::vector<int> xs(static_cast<std::size_t>(count));
  std::iota(xs.begin(), xs.end(), 0);
  return xs;
}

/// What a program saves: the results that are there.
void save(const std::vector<std::optional<long>>& results) {
  std::size_t there = 0;
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!results[i]) continue;
    ++there;
    if (*results[i] != 2 * static_cast<long>(i)) ++wrong;
  }
  append("saved",
         std::to_string(there) + " of " + std::to_string(results.size()) + ", " + std::to_string(wrong) + " wrong");
}

[[noreturn]] void ignore_all() {
  append("begun", "");
  for (;;) std::this_thread::sleep_for(std::chrono::seconds{1});
}

int body(echelon::Session& session, const std::string& mode, int tasks, Task task) {
  if (mode == "ignore") ignore_all();
  if (mode == "own-handler") {
    for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) std::signal(signal, [](int) { _exit(42); });
    ignore_all();
  }
  session.on_stop([] { append("asked", "once"); });
  if (mode == "poll") {
    append("begun", "");
    while (!session.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds{1});
    append("saved", "by poll");
    return 75;
  }
  echelon::Pool pool{session};
  std::vector<int> xs = numbers(tasks);
  auto input = xs | std::views::transform([](int x) {
                 if (x == 10) append("begun", "");
                 return x;
               });
  if (mode == "uncaught") return pool.map(task, input).empty() ? 1 : 0;
  if (mode == "unstoppable") {
    const auto all = pool.map(task, input, {.stoppable = false});
    append("saved", std::to_string(all.size()));
    return session.stop_requested() ? 75 : 1;
  }
  std::vector<std::optional<long>> got(static_cast<std::size_t>(tasks));
  try {
    if (mode == "map") (void)pool.map(task, input, {.chunk = 5});
    if (mode == "async") {
      auto later = pool.map_async(task, input);
      auto one = pool.apply_async(task, 0);
      (void)later.get();
    }
    if (mode == "imap") {
      std::size_t at = 0;
      for (const long y : pool.imap(task, input)) got[at++] = y;
    }
    if (mode == "imap-unordered") {
      for (const long y : pool.imap_unordered(task, input)) got[static_cast<std::size_t>(y / 2)] = y;
    }
  } catch (const echelon::Stopped& stopped) {
    auto& rest = stopped.results<long>();
    for (std::size_t i = 0; i < rest.size(); ++i) {
      if (!rest[i]) continue;
      if (got[i]) append("saved", "twice");
      got[i] = rest[i];
    }
    save(got);
    std::fprintf(stderr, "%s\n", stopped.what());
    return 75;
  }
  save(got);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argv[argc - 3];
  const int tasks = std::atoi(argv[argc - 2]);
  const Task task{std::atoi(argv[argc - 1])};
  if (mode == "parallel") {
    return echelon::parallel(argc, argv, [&](echelon::Session& session) {
      echelon::Value<int> stop{session};
      if (session.is_master()) append("begun", "");
      while (stop.load() == 0) {
        if (session.stop_requested()) stop.store(1);
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
      }
      append("saved", "by rank " + std::to_string(session.rank()));
      return 75;
    });
  }
  if (mode == "parallel-ignore") {
    return echelon::parallel(argc, argv, [&](echelon::Session& session) {
      if (session.is_master()) ignore_all();
      for (;;) std::this_thread::sleep_for(std::chrono::seconds{1});
    });
  }
  return echelon::run(argc, argv, [&](echelon::Session& session) { return body(session, mode, tasks, task); });
}
