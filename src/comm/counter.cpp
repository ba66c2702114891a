#include <cstdlib>
#include <exception>

#include <echelon/comm/counter.hpp>
#include <echelon/comm/nodes.hpp>

#include "session_impl.hpp"
#include "tags.hpp"

namespace echelon::comm {
namespace {

constexpr int master = 0;

}  // namespace

struct Counter::Impl {
  explicit Impl(const Session& of) : session{of} {}
  ~Impl() { std::erase(session.impl().services, &service); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  const Session& session;
  int exceptions_at_start = std::uncaught_exceptions();
  MPI_Win window = MPI_WIN_NULL;
  // Where there is no window:
  boost::mpi::communicator channel;  // of its own: counters do not hear each other's claims
  std::uint64_t value = 0;           // the master's
  Service service;

  [[nodiscard]] bool has_window() const { return window != MPI_WIN_NULL; }

  void open_window() {
    if (std::getenv(ranks_a_node_variable) != nullptr) return;  // as between nodes
    const MPI_Aint bytes = session.is_master() ? sizeof(std::uint64_t) : 0;
    void* memory = nullptr;
    int failed = MPI_Win_allocate(bytes, sizeof(std::uint64_t), MPI_INFO_NULL, session.impl().world, &memory, &window);
    int any_failed = 0;
    failed = failed == MPI_SUCCESS ? 0 : 1;
    check(MPI_Allreduce(&failed, &any_failed, 1, MPI_INT, MPI_MAX, session.impl().world), "MPI_Allreduce");
    if (any_failed != 0) {
      window = MPI_WIN_NULL;
    } else {
      MPI_Win_set_errhandler(window, MPI_ERRORS_RETURN);  // not inherited from the communicator
      check(MPI_Win_lock_all(MPI_MODE_NOCHECK, window), "MPI_Win_lock_all");
    }
  }

  void open_channel() {
    channel = {session.impl().world, boost::mpi::comm_duplicate};
    if (!session.is_master()) return;
    service = [this] { return answer_claims(); };
    session.impl().services.push_back(&service);
  }

  bool answer_claims() {
    for (bool any = false;; any = true) {
      int there = 0;
      MPI_Status status{};
      check(MPI_Iprobe(MPI_ANY_SOURCE, static_cast<int>(Tag::claim), channel, &there, &status), "MPI_Iprobe");
      if (there == 0) return any;
      check(MPI_Recv(nullptr, 0, MPI_BYTE, status.MPI_SOURCE, static_cast<int>(Tag::claim), channel, MPI_STATUS_IGNORE),
            "MPI_Recv");
      session.impl().traffic->sent(status.MPI_SOURCE, sizeof value);
      check(MPI_Send(&value, 1, MPI_UINT64_T, status.MPI_SOURCE, static_cast<int>(Tag::claimed), channel), "MPI_Send");
      ++value;
    }
  }

  std::uint64_t fetch_and(MPI_Op operation, std::uint64_t operand) const {
    session.impl().traffic->sent(master, sizeof operand);
    std::uint64_t before = 0;
    check(MPI_Fetch_and_op(&operand, &before, MPI_UINT64_T, master, 0, operation, window), "MPI_Fetch_and_op");
    check(MPI_Win_flush(master, window), "MPI_Win_flush");
    return before;
  }

  std::uint64_t ask() {
    std::uint64_t answer = 0;
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Irecv(&answer, 1, MPI_UINT64_T, master, static_cast<int>(Tag::claimed), channel, &request), "MPI_Irecv");
    session.impl().traffic->sent(master, 0);
    check(MPI_Send(nullptr, 0, MPI_BYTE, master, static_cast<int>(Tag::claim), channel), "MPI_Send");
    wait(session.impl(), request);
    return answer;
  }
};

Counter::Counter(const Session& session, Path path) : impl_{std::make_unique<Impl>(session)} {
  if (path == Path::fastest) impl_->open_window();
  if (!impl_->has_window()) impl_->open_channel();
  reset();
}

Counter::~Counter() {
  if (std::uncaught_exceptions() > impl_->exceptions_at_start) return;
  if (impl_->has_window()) {
    MPI_Win_unlock_all(impl_->window);
    MPI_Win_free(&impl_->window);
    return;
  }
  impl_->session.barrier();
}

std::uint64_t Counter::next() {
  if (impl_->has_window()) return impl_->fetch_and(MPI_SUM, 1);
  return impl_->session.is_master() ? impl_->value++ : impl_->ask();
}

void Counter::reset() {
  impl_->session.barrier();
  if (impl_->session.is_master()) {
    impl_->value = 0;
    if (impl_->has_window()) impl_->fetch_and(MPI_REPLACE, 0);
  }
  impl_->session.barrier();
}

}  // namespace echelon::comm
