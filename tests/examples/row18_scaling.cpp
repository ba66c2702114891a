// Elapsed time and %CPU of whole runs on 1, 2, ... ranks, their start included, as time(1) would show them.
//   row18_scaling ECHELON [POINTS [RANKS]]        the program; [1e9, all CPUs that may be used]
// Without the start, with every rank's phases and repetitions: echelon study, as in jobs/workstation.sh.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <sys/resource.h>

#include <echelon/echelon.hpp>

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

/// Of all processes that this one has waited for, and those that they have.
double cpu_s() {
  rusage used{};
  getrusage(RUSAGE_CHILDREN, &used);
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "row18_scaling: give the path of the program echelon\n");
    return 2;
  }
  const std::string points = argc > 2 ? argv[2] : "1e9";
  const int most = argc > 3 ? std::atoi(argv[3]) : static_cast<int>(echelon::usable_cpus());
  std::printf("ranks  elapsed s  %%CPU  speedup\n");
  double alone_s = 0;
  for (int ranks = 1; ranks <= most; ++ranks) {
    const std::string command = std::string{argv[1]} + " -n " + std::to_string(ranks) +
                                " pi --kernel direct --points " + points + " --quiet > /dev/null";
    const auto begin = std::chrono::steady_clock::now();
    const double cpu_before_s = cpu_s();
    if (std::system(command.c_str()) != 0) return 4;
    const double elapsed_s = std::chrono::duration<double>{std::chrono::steady_clock::now() - begin}.count();
    if (ranks == 1) alone_s = elapsed_s;
    std::printf("%5d  %9.3f  %4.0f  %7.2f\n", ranks, elapsed_s, 100 * (cpu_s() - cpu_before_s) / elapsed_s,
                alone_s / elapsed_s);
  }
}
