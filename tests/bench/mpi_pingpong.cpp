// The least that two ranks need for a question and its answer: microseconds a round trip of 8 bytes, by blocking calls.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <mpi.h>

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  const int trips = argc > 1 ? std::atoi(argv[1]) : 100000;
  std::int64_t word = 0;
  double begin = 0;
  for (int trip = -trips / 10; trip < trips; ++trip) {
    if (trip == 0) begin = MPI_Wtime();
    if (rank == 0) {
      MPI_Send(&word, 1, MPI_INT64_T, 1, 0, MPI_COMM_WORLD);
      MPI_Recv(&word, 1, MPI_INT64_T, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    } else if (rank == 1) {
      MPI_Recv(&word, 1, MPI_INT64_T, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      MPI_Send(&word, 1, MPI_INT64_T, 0, 0, MPI_COMM_WORLD);
    }
  }
  if (rank == 0) std::printf("pingpong_us %.6g\n", (MPI_Wtime() - begin) / trips * 1e6);
  MPI_Finalize();
}
