// A queue: the first rank puts five items, the others take them until the queue is closed and empty.
//   row06_queue -n 2
#include <cstdio>

#include <echelon/echelon.hpp>

int main(int argc, char** argv) {
  return echelon::parallel(argc, argv, [](echelon::Session& session) {
    using echelon::Role;
    echelon::Queue<int> queue{session, session.is_master() ? Role::producer : Role::consumer, {.capacity = 3}};
    if (session.is_master()) {
      for (int item = 0; item < 5; ++item) queue.put(item);
      queue.close();
    } else {
      while (const auto item = queue.get()) std::printf("rank %d got %d\n", session.rank(), *item);
    }
  });
}
