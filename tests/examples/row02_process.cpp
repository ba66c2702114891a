// Process(target, args), start, join: the body runs on a worker while the main line goes on, until it joins.
//   row02_process -n 2 [SECONDS]        a master and a worker, where the body sleeps [2 s]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include <unistd.h>

#include <echelon/echelon.hpp>

void info(const std::string& title) {
  std::printf("%s: rank %d on %s, parent process %d, process %d\n", title.c_str(), echelon::placement().rank,
              echelon::host_name().c_str(), getppid(), getpid());
}

void greet(const std::string& name, double seconds) {
  info("greet");
  std::this_thread::sleep_for(std::chrono::duration<double>{seconds});
  std::printf("hello %s\n", name.c_str());
}

int main(int argc, char** argv) {
  return echelon::run(argc, argv, [&](echelon::Session& session) {
    info("main line");
    echelon::Pool pool{session};
    const auto process = pool.apply_async(greet, "bob", argc > 1 ? std::atof(argv[1]) : 2.0);
    std::printf("main line: goes on, greet has ended: %s\n", process.ready() ? "yes" : "no");
    process.get();
    std::printf("main line: joined\n");
  });
}
