#include <memory>
#include <stdexcept>
#include <utility>

#include <echelon/comm/nodes.hpp>

#include "session_impl.hpp"

namespace echelon::comm {
namespace {

constexpr unsigned bits_of_rank = 32;

std::int64_t encode_call(Call call, int rank) { return static_cast<std::int64_t>(call) << bits_of_rank | rank; }
Call call_of(std::int64_t word) { return static_cast<Call>(word >> bits_of_rank); }
int rank_of(std::int64_t word) { return static_cast<int>(word & ((std::int64_t{1} << bits_of_rank) - 1)); }

void begin_call(const Session::Impl& session, Call call) {
  auto one = std::make_unique<Calls::Open>();
  one->call = call;
  one->number = enter(session, call);
  const std::int64_t mine = encode_call(call, session.world.rank());
  one->mine = {mine, -mine};
  check(MPI_Iallreduce(one->mine.data(), one->most.data(), static_cast<int>(one->mine.size()), MPI_INT64_T, MPI_MAX,
                       session.world, &one->all_agree),
        "MPI_Iallreduce");
  session.calls.open.push_back(one.release());
}

}  // namespace

const char* name(Call call) {
  switch (call) {
    case Call::none: break;
    case Call::barrier: return "Session::barrier()";
    case Call::pool: return "Pool(session)";
    case Call::queue: return "Queue(session, ...)";
    case Call::pipe: return "Pipe(session, ...)";
    case Call::lock: return "Lock(session)";
    case Call::value: return "Value(session)";
    case Call::array: return "Array(session, ...)";
  }
  return "a collective function";
}

std::string place(const Session::Impl& session, int rank) {
  std::string text = "rank " + std::to_string(rank);
  if (session.nodes != nullptr) text += " on " + session.nodes->host(rank);
  return text;
}

std::uint64_t enter(const Session::Impl& session, Call call) {
  Calls& calls = session.calls;
  if (!calls.misuse.empty()) throw std::logic_error(calls.misuse);
  if (!calls.forbidden.empty()) {
    throw std::logic_error(std::string{name(call == Call::none ? calls.outermost : call)} + ": " + calls.forbidden);
  }
  return ++calls.entered;
}

void agree(const Session::Impl& session, Call call) {
  begin_call(session, call);
  wait_until(session, session.calls.entered, [&] { return settle(session); });
}

bool settle(const Session::Impl& session) {
  Calls& calls = session.calls;
  while (!calls.open.empty()) {
    int done = 0;
    check(MPI_Test(&calls.open.front()->all_agree, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done == 0) return false;
    const std::unique_ptr<Calls::Open> first{calls.open.front()};
    calls.open.pop_front();
    std::int64_t one = first->most[0];
    std::int64_t other = -first->most[1];
    if (call_of(one) == call_of(other)) continue;
    if (rank_of(one) > rank_of(other)) std::swap(one, other);
    // From here on MPI would take what ranks do for each other's: nothing more is begun.
    calls.misuse = place(session, rank_of(one)) + " calls " + name(call_of(one)) + ", but " +
                   place(session, rank_of(other)) + " " + name(call_of(other)) +
                   ": all ranks make such calls, in the same order";
    throw std::logic_error(calls.misuse);
  }
  return true;
}

Collective::Collective(const Session& session, Call call)
    : session_{session}, is_outermost_{session.impl().calls.outermost == Call::none} {
  if (!is_outermost_) return;
  agree(session.impl(), call);
  session.impl().calls.outermost = call;
}

Collective::~Collective() {
  if (is_outermost_) session_.impl().calls.outermost = Call::none;
}

void Collective::begin(const Session& session, Call call) { begin_call(session.impl(), call); }

}  // namespace echelon::comm
