#include <echelon/comm/counter.hpp>

#include "session_impl.hpp"

namespace echelon::comm {
namespace {

constexpr int master = 0;

}  // namespace

struct Counter::Impl {
  const Session& session;
  MPI_Win window = MPI_WIN_NULL;
};

Counter::Counter(const Session& session) : impl_{std::make_unique<Impl>(Impl{session})} {
  const MPI_Aint bytes = session.is_master() ? sizeof(std::uint64_t) : 0;
  void* memory = nullptr;
  check(MPI_Win_allocate(bytes, sizeof(std::uint64_t), MPI_INFO_NULL, session.impl().world, &memory, &impl_->window),
        "MPI_Win_allocate");
  check(MPI_Win_lock_all(MPI_MODE_NOCHECK, impl_->window), "MPI_Win_lock_all");
  reset();
}

Counter::~Counter() {
  MPI_Win_unlock_all(impl_->window);
  MPI_Win_free(&impl_->window);
}

std::uint64_t Counter::next() {
  const std::uint64_t one = 1;
  std::uint64_t before = 0;
  check(MPI_Fetch_and_op(&one, &before, MPI_UINT64_T, master, 0, MPI_SUM, impl_->window), "MPI_Fetch_and_op");
  check(MPI_Win_flush(master, impl_->window), "MPI_Win_flush");
  return before;
}

void Counter::reset() {
  impl_->session.barrier();
  if (impl_->session.is_master()) {
    const std::uint64_t zero = 0;
    std::uint64_t before = 0;
    check(MPI_Fetch_and_op(&zero, &before, MPI_UINT64_T, master, 0, MPI_REPLACE, impl_->window), "MPI_Fetch_and_op");
    check(MPI_Win_flush(master, impl_->window), "MPI_Win_flush");
  }
  impl_->session.barrier();
}

}  // namespace echelon::comm
