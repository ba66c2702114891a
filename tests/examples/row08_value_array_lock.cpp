// A Value and an Array that all ranks change, under a Lock where a change takes two steps: no update is lost.
//   row08_value_array_lock -n 4
#include <cstdio>
#include <mutex>

#include <echelon/echelon.hpp>

int main(int argc, char** argv) {
  return echelon::parallel(argc, argv, [](echelon::Session& session) {
    echelon::Lock lock{session};
    echelon::Value<double> sum{session};
    echelon::Value<int> count{session};
    echelon::Array<int> table{session, 5};
    for (int i = 0; i < 100; ++i) {
      count.fetch_add(1);  // one step: needs no lock
      const std::lock_guard guard{lock};
      sum.store(sum.load() + 0.5);
      table.put(static_cast<unsigned>(i % 5), table.get(static_cast<unsigned>(i % 5)) + 1);
    }
    const auto all = table.gather();  // on the master, when all ranks are there
    if (!session.is_master()) return;
    std::printf("sum %g, count %d, table", sum.load(), count.load());
    for (const int element : all) std::printf(" %d", element);
    std::printf("\n");
  });
}
