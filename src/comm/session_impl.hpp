#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <boost/mpi/communicator.hpp>
#include <mpi.h>

#include <echelon/comm/session.hpp>

#include "traffic_counter.hpp"

namespace echelon::comm {

inline constexpr int master = 0;

/// Answers what other ranks have asked by now, and says whether any had; called wherever this rank waits or lets MPI go
/// on.
using Service = std::function<bool()>;

struct Session::Impl {
  boost::mpi::communicator world;  // a duplicate: no other library's messages are on it
  mutable std::vector<Service*> services;
  mutable std::function<void()> check_ranks;  // throws where a rank that is waited for may be gone; may be empty
  bool attached = false;
  bool serialized = false;
  bool concurrent = false;  // MPI_THREAD_MULTIPLE
  std::unique_ptr<TrafficCounter> traffic{};

  bool serve() const {
    bool any = false;
    for (Service* service : services) any = (*service)() || any;
    return any;
  }
};

/// Throws where an MPI function failed; `call` names it.
void check(int mpi_result, const char* call);

/// A communicator of one's own over the same ranks. Collective; who waits for the others does so as in wait().
boost::mpi::communicator duplicate(const Session::Impl& session);

/// Collective: whether all ranks reach each other on one loopback address; who waits for the others does so as in
/// wait().
bool share_loopback(const Session& session);

/// Waits by Backoff until the request is done, and serves meanwhile. Throws what `check_ranks` throws.
void wait(const Session::Impl& session, MPI_Request& request);

}  // namespace echelon::comm
