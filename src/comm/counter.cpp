#include <array>
#include <atomic>
#include <exception>
#include <utility>

#include <echelon/comm/backoff.hpp>
#include <echelon/comm/counter.hpp>
#include <echelon/comm/nodes.hpp>

#include "session_impl.hpp"
#include "tags.hpp"

namespace echelon::comm {
namespace {

/// What a node's ranks share; all zeros is its beginning.
struct Shared {
  std::atomic<std::uint64_t> next;  // of all numbers on the master's node, elsewhere of the node's piece
  std::uint64_t end;                // of the piece
  std::atomic<bool> taken;          // a rank is at the piece
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

using Numbers = std::array<std::uint64_t, 2>;  // the first, and how many

}  // namespace

struct Counter::Impl {
  Impl(const Session& of, Piece sizes)
      : session{of},
        nodes{Nodes::of(of)},
        memory{of, sizeof(Shared)},
        shared{*reinterpret_cast<Shared*>(memory.data())},
        piece{std::move(sizes)} {
    if (nodes.is_one()) return;
    channel = duplicate(session.impl());
    if (!session.is_master()) return;
    service = [this] { return answer_claims(); };
    session.impl().services.push_back(&service);
  }
  ~Impl() { std::erase(session.impl().services, &service); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  const Session& session;
  const Nodes& nodes;
  int exceptions_at_start = std::uncaught_exceptions();
  SharedMemory memory;
  Shared& shared;
  Piece piece;
  boost::mpi::communicator channel;  // of its own: counters do not hear each other's claims
  Service service;

  bool answer_claims() {
    for (bool any = false;; any = true) {
      int there = 0;
      MPI_Status status{};
      check(MPI_Iprobe(MPI_ANY_SOURCE, static_cast<int>(Tag::claim), channel, &there, &status), "MPI_Iprobe");
      if (there == 0) return any;
      check(MPI_Recv(nullptr, 0, MPI_BYTE, status.MPI_SOURCE, static_cast<int>(Tag::claim), channel, MPI_STATUS_IGNORE),
            "MPI_Recv");
      Numbers numbers{shared.next.load()};
      do {
        numbers[1] = piece ? piece(numbers[0]) : 1;
      } while (!shared.next.compare_exchange_weak(numbers[0], numbers[0] + numbers[1]));
      session.impl().traffic->sent(status.MPI_SOURCE, sizeof numbers);
      check(MPI_Send(numbers.data(), static_cast<int>(numbers.size()), MPI_UINT64_T, status.MPI_SOURCE,
                     static_cast<int>(Tag::claimed), channel),
            "MPI_Send");
    }
  }

  Numbers claim() const {
    Numbers numbers{};
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Irecv(numbers.data(), static_cast<int>(numbers.size()), MPI_UINT64_T, master,
                    static_cast<int>(Tag::claimed), channel, &request),
          "MPI_Irecv");
    session.impl().traffic->sent(master, 0);
    check(MPI_Send(nullptr, 0, MPI_BYTE, master, static_cast<int>(Tag::claim), channel), "MPI_Send");
    wait(session.impl(), request, 0);
    return numbers;
  }

  /// Of those that the node has; who finds none claims more, and the others wait for that.
  std::uint64_t next_of_piece() {
    struct Turn {
      explicit Turn(Impl& of) : impl{of} {
        for (Backoff backoff{impl.nodes.is_crowded()}; impl.shared.taken.exchange(true, std::memory_order_acquire);) {
          impl.session.impl().serve();
          if (impl.session.impl().check_ranks) impl.session.impl().check_ranks();
          backoff.pause();
        }
      }
      ~Turn() { impl.shared.taken.store(false, std::memory_order_release); }
      Turn(const Turn&) = delete;
      Turn& operator=(const Turn&) = delete;
      Impl& impl;
    };
    const Turn turn{*this};
    if (shared.next == shared.end) {
      const Numbers more = claim();
      shared.next = more[0];
      shared.end = more[0] + more[1];
    }
    return shared.next++;
  }
};

Counter::Counter(const Session& session, Piece piece) : impl_{std::make_unique<Impl>(session, std::move(piece))} {}

Counter::~Counter() {
  if (std::uncaught_exceptions() > impl_->exceptions_at_start) return;
  if (!impl_->nodes.is_one()) impl_->session.barrier();
}

std::uint64_t Counter::next() {
  if (impl_->nodes.is_here(master)) return impl_->shared.next.fetch_add(1);
  return impl_->piece ? impl_->next_of_piece() : impl_->claim()[0];
}

void Counter::reset() {
  const Session& session = impl_->session;
  session.barrier();
  if (impl_->nodes.leader(session.rank()) == session.rank()) {
    impl_->shared.next = 0;
    impl_->shared.end = 0;
  }
  session.barrier();
}

}  // namespace echelon::comm
