// Ranks with different bodies, at the same time: the last one writes a file, the others print. All lines are whole.
//   row12_different_bodies -n 3 FILE
#include <cstdio>
#include <fstream>

#include <echelon/echelon.hpp>

constexpr int lines = 10;

void print(int rank) {
  for (int i = 0; i < lines; ++i) std::printf("rank %d prints line %d\n", rank, i);
}

void write(const char* path) {
  std::ofstream file{path};
  for (int i = 0; i < lines; ++i) file << "line " << i << " of the file\n";
  if (!file.flush()) throw echelon::base::UsageError("cannot write " + std::string{path});
}

int main(int argc, char** argv) {
  return echelon::parallel(argc, argv, [&](echelon::Session& session) {
    if (argc != 2) throw echelon::base::UsageError("give a file's name");
    const int last = session.size() - 1;
    if (session.rank() < last || last == 0) print(session.rank());
    if (session.rank() == last) write(argv[1]);
  });
}
