#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>

#include <mpi.h>

#include <echelon/comm/collective.hpp>

namespace echelon::comm {

/// What a session knows of the calls that its ranks make together.
struct Calls {
  /// A call that not all ranks are known to have made. MPI writes to it, so that it stays where that is never known.
  struct Open {
    Call call;
    std::uint64_t number;
    std::array<std::int64_t, 2> mine;
    std::array<std::int64_t, 2> most{};
    MPI_Request all_agree = MPI_REQUEST_NULL;
  };

  std::uint64_t entered = 0;  ///< collective operations that this rank has begun
  Call outermost = Call::none;
  std::deque<Open*> open;  ///< in their order
  std::string forbidden;   ///< why there are none; empty: they are allowed
  std::string misuse;      ///< once it was told, every later one says the same
};

/// As in "Pool(session)".
[[nodiscard]] const char* name(Call call);

}  // namespace echelon::comm
