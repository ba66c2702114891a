#pragma once

#include <cstdint>

#include <echelon/comm/session.hpp>

namespace echelon::comm {

/// What all ranks of a session call together, as its users know it.
enum class Call : std::uint8_t { none, barrier, pool, queue, pipe, lock, value, array };

/// A call that all ranks make, in the same order, for as long as this lives: what it does inside belongs to it. What
/// would be a hang is an error on the ranks that would hang:
/// - Ranks that make different calls at the same time all throw std::logic_error, which names two of them.
/// - A rank that waits for one that has come to its end (Roster::leave(), or the end of its session) throws it, too.
/// - Where ranks do not act together (Session::refuse_collectives()), the call throws it at once.
class Collective {
 public:
  /// Returns when all ranks have made the call.
  Collective(const Session& session, Call call);
  ~Collective();
  Collective(const Collective&) = delete;
  Collective& operator=(const Collective&) = delete;

  /// The same for a call that waits for nobody: what is wrong is thrown by whatever waits for all ranks later, or by
  /// Session::check_calls().
  static void begin(const Session& session, Call call);

 private:
  const Session& session_;
  bool is_outermost_;
};

}  // namespace echelon::comm
