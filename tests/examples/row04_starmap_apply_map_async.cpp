// starmap spreads each tuple over the arguments, apply waits for one call, map_async returns at once.
//   row04_starmap_apply_map_async -n 3        a master and two workers
#include <chrono>
#include <cstdio>
#include <ranges>
#include <thread>
#include <tuple>
#include <vector>

#include <echelon/echelon.hpp>

int volume(int a, int b, int c) { return a * b * c; }

int slow_square(int x) {
  std::this_thread::sleep_for(std::chrono::milliseconds{100});
  return x * x;
}

int main(int argc, char** argv) {
  return echelon::run(argc, argv, [](echelon::Session& session) {
    echelon::Pool pool{session};
    const std::vector<std::tuple<int, int, int>> boxes{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}};
    for (const int v : pool.starmap(volume, boxes)) std::printf("starmap: %d\n", v);
    std::printf("apply: %d\n", pool.apply(volume, 2, 3, 7));
    const auto squares = pool.map_async(slow_square, std::views::iota(0, 4));
    std::printf("map_async: returned, ready: %s\n", squares.ready() ? "yes" : "no");
    for (const int y : squares.get()) std::printf("map_async: %d\n", y);
  });
}
