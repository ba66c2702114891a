// A pipe between two ranks: two ends, both ways, in order; when one end closes, the other sees the end of file.
//   row07_pipe -n 2
#include <cstdio>

#include <echelon/echelon.hpp>

int main(int argc, char** argv) {
  return echelon::parallel(argc, argv, [](echelon::Session& session) {
    echelon::Pipe<int> pipe{session, 0, 1};
    if (session.rank() == 0) {
      for (int x = 1; x <= 5; ++x) pipe.send(x);
      for (int x = 1; x <= 5; ++x) std::printf("%d squared is %d\n", x, pipe.receive().value());
      pipe.close();
    } else if (session.rank() == 1) {
      while (const auto x = pipe.receive()) pipe.send(*x * *x);
      std::printf("end of file\n");
    }
  });
}
