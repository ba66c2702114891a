#pragma once

#include <boost/mpi/communicator.hpp>
#include <mpi.h>

#include <echelon/comm/session.hpp>

namespace echelon::comm {

/// Echelon over the ranks of somebody's own MPI program, on a duplicate of their communicator. Collective over it; the
/// session must end before MPI_Finalize.
[[nodiscard]] inline Session attach(MPI_Comm ranks) {
  return Session{boost::mpi::communicator{ranks, boost::mpi::comm_attach}};
}

}  // namespace echelon::comm
