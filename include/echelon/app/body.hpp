#pragma once

#include <functional>
#include <type_traits>

#include <echelon/comm/session.hpp>

namespace echelon::app {

/// What a program does between its start and its end; returns its exit status.
using Body = std::function<int(comm::Session&)>;

/// One that returns nothing has status 0. It must outlive what is returned.
template <typename F>
requires std::is_invocable_v<F&, comm::Session&>
[[nodiscard]] Body make_body(F& function) {
  return [&function](comm::Session& session) -> int {
    if constexpr (std::is_void_v<std::invoke_result_t<F&, comm::Session&>>) {
      function(session);
      return 0;
    } else {
      return function(session);
    }
  };
}

}  // namespace echelon::app
