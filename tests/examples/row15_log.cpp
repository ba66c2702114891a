// Every rank appends a line to one file, under a lock: no line is torn or missing.
//   row15_log -n 4 FILE
#include <fstream>
#include <iostream>
#include <mutex>

#include <echelon/echelon.hpp>

int main(int argc, char** argv) {
  return echelon::parallel(argc, argv, [&](echelon::Session& session) {
    if (argc != 2) throw echelon::base::UsageError("give a file's name");
    if (session.is_master()) std::ofstream{argv[1]};  // empty
    echelon::Lock lock{session};                      // when all ranks are here
    {
      const std::lock_guard guard{lock};
      std::ofstream{argv[1], std::ios::app} << "rank " << session.rank() << " was here\n";
    }
    session.barrier();
    if (session.is_master()) std::cout << std::ifstream{argv[1]}.rdbuf();
  });
}
