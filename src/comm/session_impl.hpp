#pragma once

#include <functional>
#include <vector>

#include <boost/mpi/communicator.hpp>
#include <mpi.h>

#include <echelon/comm/session.hpp>

namespace echelon::comm {

/// Answers what other ranks have asked by now, and says whether any had; called wherever this rank waits or lets MPI go
/// on.
using Service = std::function<bool()>;

struct Session::Impl {
  boost::mpi::communicator world;  // a duplicate: no other library's messages are on it
  mutable std::vector<Service*> services;
  bool attached = false;
  bool serialized = false;

  bool serve() const {
    bool any = false;
    for (Service* service : services) any = (*service)() || any;
    return any;
  }
};

/// Throws where an MPI function failed; `call` names it.
void check(int mpi_result, const char* call);

/// Waits by Backoff until the request is done, and serves meanwhile.
void wait(const Session::Impl& session, MPI_Request& request);

}  // namespace echelon::comm
