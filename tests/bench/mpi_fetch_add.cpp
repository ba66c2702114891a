// MPI_Fetch_and_op on another rank's window, as bare as it can be: microseconds a call.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <mpi.h>

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  const long rounds = argc > 1 ? std::atol(argv[1]) : 100000;
  std::uint64_t* value = nullptr;
  MPI_Win window = MPI_WIN_NULL;
  MPI_Win_allocate(rank == 0 ? sizeof *value : 0, sizeof *value, MPI_INFO_NULL, MPI_COMM_WORLD, &value, &window);
  if (rank == 0) *value = 0;
  MPI_Barrier(MPI_COMM_WORLD);
  MPI_Win_lock_all(MPI_MODE_NOCHECK, window);
  if (rank == 1) {
    const std::uint64_t one = 1;
    std::uint64_t before = 0;
    const double begin = MPI_Wtime();
    for (long i = 0; i < rounds; ++i) {
      MPI_Fetch_and_op(&one, &before, MPI_UINT64_T, 0, 0, MPI_SUM, window);
      MPI_Win_flush(0, window);
    }
    std::printf("mpi_fetch_add_us %.6g\n", 1e6 * (MPI_Wtime() - begin) / static_cast<double>(rounds));
  }
  MPI_Win_unlock_all(window);
  MPI_Win_free(&window);
  MPI_Finalize();
}
