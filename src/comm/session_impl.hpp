#pragma once

#include <boost/mpi/communicator.hpp>
#include <mpi.h>

#include <echelon/comm/session.hpp>

namespace echelon::comm {

struct Session::Impl {
  boost::mpi::communicator world;  // a duplicate of MPI_COMM_WORLD: no other library's messages are on it
};

/// Throws where an MPI function failed; `call` names it.
void check(int mpi_result, const char* call);

/// Waits by Backoff until the request is done.
void wait(MPI_Request& request);

}  // namespace echelon::comm
