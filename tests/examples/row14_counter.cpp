// A counter that every rank increments 100 times under a lock: 4 ranks make exactly 400.
//   row14_counter -n 4
#include <cstdio>
#include <mutex>

#include <echelon/echelon.hpp>

int main(int argc, char** argv) {
  return echelon::parallel(argc, argv, [](echelon::Session& session) {
    echelon::Lock lock{session};
    echelon::Value<int> counter{session};
    for (int i = 0; i < 100; ++i) {
      const std::lock_guard guard{lock};
      counter.store(counter.load() + 1);  // counter.fetch_add(1) would do it without the lock
    }
    session.barrier();
    if (session.is_master()) std::printf("%d\n", counter.load());
  });
}
