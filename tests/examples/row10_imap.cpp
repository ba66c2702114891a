// imap(f, range(10)): whoever is free takes the next item, and results come in order while the others are on their way.
// The input is read as results are taken, so it may have no end.
//   row10_imap -n 5        a master and four workers
#include <chrono>
#include <cstdio>
#include <ranges>
#include <thread>

#include <echelon/echelon.hpp>

int square(int x) {
  std::this_thread::sleep_for(std::chrono::milliseconds{x % 4 == 0 ? 40 : 10});
  return x * x;
}

int main(int argc, char** argv) {
  return echelon::run(argc, argv, [](echelon::Session& session) {
    echelon::Pool pool{session};
    for (const int y : pool.imap(square, std::views::iota(0, 10))) std::printf("%d\n", y);

    int read = 0;
    auto endless = std::views::iota(0) | std::views::transform([&](int x) { return ++read, x; });
    for (const int y : pool.imap(square, endless, {.window = 8})) {
      if (y > 200) {
        std::printf("the first square over 200 is %d; %d items were read for it\n", y, read);
        break;
      }
    }
  });
}
