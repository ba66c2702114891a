#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/mpi/communicator.hpp>
#include <mpi.h>

#include <echelon/comm/session.hpp>

#include "calls.hpp"
#include "traffic_counter.hpp"

namespace echelon::comm {

inline constexpr int master = 0;

class Nodes;

/// Answers what other ranks have asked by now, and says whether any had; called wherever this rank waits or lets MPI go
/// on.
using Service = std::function<bool()>;

struct Session::Impl {
  boost::mpi::communicator world;  // a duplicate: no other library's messages are on it
  mutable std::vector<Service*> services;
  mutable std::function<void()> check_ranks;  // throws where a rank that is waited for may be gone; may be empty
  // Throws where a rank has come to its end without the collective operation of this number; may be empty.
  mutable std::function<void(std::uint64_t)> check_left;
  mutable const Nodes* nodes = nullptr;  // where they are known
  mutable Calls calls = {};
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

/// A collective operation begins: its number, from 1. Throws std::logic_error where there are none.
std::uint64_t enter(const Session::Impl& session, Call call = Call::none);

/// Waits by Backoff until it is `done`, and serves meanwhile. Throws what `check_ranks` and `check_left` throw;
/// `number` is that of the collective operation that is waited for, 0 where it is none.
void wait_until(const Session::Impl& session, std::uint64_t number, const std::function<bool()>& done);
/// The same until the request is done.
void wait(const Session::Impl& session, MPI_Request& request, std::uint64_t number);

/// Makes a call and waits until all ranks have: a barrier.
void agree(const Session::Impl& session, Call call);
/// All ranks have made the calls that this one has begun. Throws std::logic_error where one has made another.
bool settle(const Session::Impl& session);

/// As in "rank 2 on node7".
std::string place(const Session::Impl& session, int rank);

}  // namespace echelon::comm
