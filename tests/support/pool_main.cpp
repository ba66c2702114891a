// main() of the pool's tests: GoogleTest runs on the master, while the other ranks serve its pools, as in a program of
// a user's.
#include <gtest/gtest.h>

#include <echelon/app/run.hpp>

#include "support/mpi_session.hpp"

namespace {

echelon::comm::Session* the_session = nullptr;

}  // namespace

echelon::comm::Session& echelon::test::session() { return *the_session; }

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return echelon::app::run(argc, argv, [](echelon::comm::Session& session) {
    the_session = &session;
    return RUN_ALL_TESTS();
  });
}
