// The same with the threads of one process, on 1, 2, ... of them: the elapsed time falls and %CPU grows.
//   row17_pi_threads [POINTS [THREADS]]        [100 million, all CPUs that may be used]
// What Echelon makes of it: echelon pi --threads N
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <numeric>
#include <thread>
#include <vector>

#include <echelon/echelon.hpp>

double part(long begin, long end, long points) {
  const double step = 1.0 / static_cast<double>(points);
  double sum = 0;
  for (long i = begin; i < end; ++i) {
    const double x = (static_cast<double>(i) + 0.5) * step;
    sum += 4 / (1 + x * x);
  }
  return sum * step;
}

double pi(long points, int threads) {
  std::vector<double> parts(static_cast<std::size_t>(threads));
  std::vector<std::thread> team;
  const long share = points / threads;
  for (int t = 0; t < threads; ++t) {
    const long end = t == threads - 1 ? points : (t + 1) * share;  // the last one takes the remainder
    team.emplace_back([=, &mine = parts[static_cast<std::size_t>(t)]] { mine = part(t * share, end, points); });
  }
  for (std::thread& one : team) one.join();
  return std::accumulate(parts.begin(), parts.end(), 0.0);
}

int main(int argc, char** argv) {
  const long points = argc > 1 ? std::atol(argv[1]) : 100'000'000;
  const int most = argc > 2 ? std::atoi(argv[2]) : static_cast<int>(echelon::usable_cpus());
  std::printf("threads  elapsed s  %%CPU  pi\n");
  for (int threads = 1; threads <= most; ++threads) {
    const auto begin = std::chrono::steady_clock::now();
    const std::clock_t cpu = std::clock();  // of all threads
    const double value = pi(points, threads);
    const double cpu_s = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;
    const double elapsed_s = std::chrono::duration<double>{std::chrono::steady_clock::now() - begin}.count();
    std::printf("%7d  %9.3f  %4.0f  %.12f\n", threads, elapsed_s, 100 * cpu_s / elapsed_s, value);
  }
}
