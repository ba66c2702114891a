// Pool(4).map(square, range(10)), each task 0.1 s: three waves of 4, 4 and 2 tasks, about 0.3 s instead of 1 s.
//   row03_map -n 5        a master and four workers
#include <chrono>
#include <cstdio>
#include <ranges>
#include <thread>
#include <vector>

#include <echelon/echelon.hpp>

using Clock = std::chrono::steady_clock;

int square(int x) {
  std::this_thread::sleep_for(std::chrono::milliseconds{100});
  return x * x;
}

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>{Clock::now() - begin}.count(); }

int main(int argc, char** argv) {
  return echelon::run(argc, argv, [](echelon::Session& session) {
    const auto alone = Clock::now();
    for (int x = 0; x < 10; ++x) square(x);
    std::printf("one after the other: %.2f s\n", seconds_since(alone));

    echelon::Pool pool{session};
    const auto together = Clock::now();
    const std::vector<int> squares = pool.map(square, std::views::iota(0, 10));
    std::printf("map: %.2f s\n", seconds_since(together));
    for (const int y : squares) std::printf("%d\n", y);
  });
}
