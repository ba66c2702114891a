// Two tasks of 2 s and 3 s on two workers, while the main program goes on: all is done after about 3 s.
//   row05_async_result -n 3 [UNIT]        a master and two workers; tasks of 2 and 3 units [of 1 s]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include <echelon/echelon.hpp>

using Seconds = std::chrono::duration<double>;

/// Returns how long it took.
double work(double seconds) {
  const auto begin = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(Seconds{seconds});
  return Seconds{std::chrono::steady_clock::now() - begin}.count();
}

int main(int argc, char** argv) {
  return echelon::run(argc, argv, [&](echelon::Session& session) {
    const double unit = argc > 1 ? std::atof(argv[1]) : 1.0;
    const auto begin = std::chrono::steady_clock::now();
    echelon::Pool pool{session};
    const auto two = pool.apply_async(work, 2 * unit);
    const auto three = pool.apply_async(work, 3 * unit);
    while (!three.wait_for(Seconds{unit / 2})) {
      std::printf("the main program goes on; ready: %s, %s\n", two.ready() ? "yes" : "no",
                  three.ready() ? "yes" : "no");
    }
    std::printf("tasks: %.2f s and %.2f s\n", two.get(), three.get());
    std::printf("all: %.2f s\n", Seconds{std::chrono::steady_clock::now() - begin}.count());
    std::printf("successful: %s\n", two.successful() && three.successful() ? "yes" : "no");
  });
}
