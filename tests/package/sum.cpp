#include <cstdio>

#include <echelon/echelon.hpp>

int main(int argc, char** argv) {
  return echelon::parallel(argc, argv, [](echelon::Session& session) {
    using echelon::Role;
    echelon::Queue<int> queue{session, session.is_master() ? Role::producer : Role::consumer, {.capacity = 100}};
    echelon::Value<long> sum{session};
    if (session.is_master()) {
      for (int item = 1; item <= 1000; ++item) queue.put(item);
      queue.close();
    } else {
      while (const auto item = queue.get()) sum.fetch_add(*item);
    }
    session.barrier();
    if (session.is_master()) std::printf("%ld\n", sum.load());
  });
}
