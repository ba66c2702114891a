// apply_async, close, join: results are gathered in the order of submission, whichever task ended first.
//   row01_apply_async -n 5        a master and four workers
#include <chrono>
#include <cstdio>
#include <numeric>
#include <thread>
#include <vector>

#include <echelon/echelon.hpp>

int worker(int i, const std::vector<int>& chunk) {
  std::this_thread::sleep_for(std::chrono::milliseconds{10} * (10 - i));  // the later, the sooner done
  return std::accumulate(chunk.begin(), chunk.end(), 0);
}

int main(int argc, char** argv) {
  return echelon::run(argc, argv, [](echelon::Session& session) {
    echelon::Pool pool{session};
    std::vector<echelon::AsyncResult<int>> results;
    for (int i = 0; i < 10; ++i) results.push_back(pool.apply_async(worker, i, std::vector{i, 10 * i, 100 * i}));
    pool.close();
    pool.join();
    for (const auto& result : results) std::printf("%d\n", result.get());
  });
}
