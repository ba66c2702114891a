// imap_unordered on four workers: the same results, each as soon as it is there.
//   row11_imap_unordered -n 5        a master and four workers
#include <chrono>
#include <cstdio>
#include <ranges>
#include <thread>
#include <utility>

#include <echelon/echelon.hpp>

struct Square {
  int value;
  int rank;
};

Square square(int x) {
  std::this_thread::sleep_for(std::chrono::milliseconds{x == 0 ? 300 : 20});  // the first is the last to be done
  return {x * x, echelon::placement().rank};
}

int main(int argc, char** argv) {
  return echelon::run(argc, argv, [](echelon::Session& session) {
    echelon::Pool pool{session};
    for (const auto& [value, rank] : pool.imap_unordered(square, std::views::iota(0, 10))) {
      std::printf("%d from rank %d\n", value, rank);
    }
  });
}
