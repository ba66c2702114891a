// A program that loses ranks; losses_test.cpp starts it and kills. In the working folder it makes the file "begun" when
// tasks run and "done" when they have ended. Arguments: tasks, their time in us, the one that kills, and "thread".
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <unistd.h>

#include <echelon/echelon.hpp>

namespace {

struct Work {
  int task_us;
  int deadly;  // the task that kills its worker; -1: none
};

int run(echelon::Session& session, int tasks, Work work) {
  std::vector<int> xs(static_cast<std::size_t>(tasks));
  std::iota(xs.begin(), xs.end(), 0);
  echelon::Pool pool{session};
  const auto input = xs | std::views::transform([](int x) {
                       if (x == 100) std::ofstream{"begun"};
                       return x;
                     });
  auto outcomes = pool.outcomes(
      [work](int x) {
        if (x == work.deadly) raise(SIGKILL);
        std::this_thread::sleep_for(std::chrono::microseconds{work.task_us});
        return 2L * x;
      },
      input, {.crash_limit = 2});
  std::ofstream{"done"};
  int failed = 0;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (!outcomes[i]) {
      ++failed;
      std::printf("%s\n", outcomes[i].error().what());
    } else if (outcomes[i].value() != 2 * static_cast<long>(i)) {
      std::printf("wrong result of task %zu\n", i);
      return 1;
    }
  }
  if (outcomes.size() != xs.size()) return 1;
  std::uint64_t sum = 0;
  const echelon::Record record = pool.report();
  for (const auto& rank : record.ranks) {
    if (rank.lost) std::printf("lost: rank %d\n", static_cast<int>(rank.rank));
    sum += rank.tasks;
  }
  // A task that was done by a rank before it died, and whose result came, is not done again.
  std::printf("tasks by the ranks' books: %s\n",
              sum + static_cast<std::uint64_t>(failed) >= xs.size() ? "all" : "too few");
  return failed == 0 ? 0 : 3;
}

}  // namespace

int main(int argc, char** argv) {
  // Beside a thread no process can be forked.
  if (argv[argc - 1] == std::string_view{"thread"}) std::thread{[] { pause(); }}.detach();
  return echelon::run(argc, argv, [&](echelon::Session& session) {
    if (argc < 4) return 2;
    return run(session, std::atoi(argv[1]), {std::atoi(argv[2]), std::atoi(argv[3])});
  });
}
