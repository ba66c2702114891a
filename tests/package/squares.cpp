#include <cstdio>
#include <ranges>

#include <echelon/echelon.hpp>

int square(int x) { return x * x; }

int main(int argc, char** argv) {
  return echelon::run(argc, argv, [](echelon::Session& session) {
    echelon::Pool pool{session};
    for (const int y : pool.map(square, std::views::iota(0, 10))) std::printf("%d ", y);
    std::printf("by %d workers\n", pool.workers());
  });
}
