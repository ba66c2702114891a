#include <atomic>

#include <mpi.h>

#include <echelon/comm/session.hpp>

namespace echelon::comm {
namespace {

std::atomic<AbortWord> abort_word{nullptr};

}  // namespace

void set_abort_word(AbortWord word) noexcept { abort_word = word; }

void tell_abort(int code, bool is_explained) noexcept {
  if (const AbortWord word = abort_word) word(code, is_explained);
}

}  // namespace echelon::comm

// MPI's profiling interface: this one is called in place of MPI's own, under whatever name a program calls it.
extern "C" int MPI_Abort(MPI_Comm communicator, int code) {
  echelon::comm::tell_abort(code, false);
  return PMPI_Abort(communicator, code);
}
