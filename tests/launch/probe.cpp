// A program that is the starter of its own ranks, as those of the library's users are: `launch_probe RANKS MODE...`.
// The starter's flags come from the environment: PROBE_FRAGILE (a lost rank ends the run), PROBE_READS_INPUT,
// PROBE_PROGRAM (start this instead), PROBE_HAS_CHILD (of its own, which it does not wait for), PROBE_IGNORES_CHILDREN.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>

#include <mpi.h>
#include <unistd.h>

#include <echelon/launch/launcher.hpp>
#include <echelon/launch/outcome.hpp>

namespace {

volatile sig_atomic_t asked_to_end = 0;

[[noreturn]] void stay() {
  // What would end it politely does not.
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) std::signal(signal, SIG_IGN);
  for (;;) sleep(1);
}

[[noreturn]] void lose_self() {
  raise(SIGKILL);
  std::abort();
}

/// Rank 0 asks each of the others but `lost` for its number, and tells `code`; nobody finalizes.
[[noreturn]] void go_on_without(int lost, int rank, int ranks, int code) {
  if (rank == lost) lose_self();
  int number = 0;
  if (rank != 0) {
    MPI_Recv(&number, 1, MPI_INT, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Send(&rank, 1, MPI_INT, 0, 0, MPI_COMM_WORLD);
    _exit(0);
  }
  sleep(1);  // the loss is known everywhere by now
  for (int other = 1; other < ranks; ++other) {
    if (other == lost) continue;
    MPI_Send(&number, 1, MPI_INT, other, 0, MPI_COMM_WORLD);
    MPI_Recv(&number, 1, MPI_INT, other, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    std::fprintf(stderr, "rank %d answers\n", number);
  }
  std::printf("the answer\n");
  std::fflush(stdout);
  echelon::launch::tell_outcome(code);
  _exit(0);
}

int run_as_rank(int argc, char** argv) {
  const std::string_view mode = argv[2];
  const int number = argc > 3 ? std::atoi(argv[3]) : 0;
  if (mode == "early" && std::atoi(std::getenv("OMPI_COMM_WORLD_RANK")) == number) return 3;
  if (mode == "without-mpi") {
    if (std::atoi(std::getenv("OMPI_COMM_WORLD_RANK")) == 0) echelon::launch::tell_outcome(number);
    return 0;
  }
  int rank = 0;
  int ranks = 1;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Barrier(MPI_COMM_WORLD);
  int code = 0;
  if (mode == "tell") {
    code = number;
  } else if (mode == "tell-late-in-text" && rank == 0) {
    const std::string text(100'000, 'x');  // more than mpirun reads at once
    std::fprintf(stderr, "%s", text.c_str());
  } else if (mode == "tell-nothing") {
    MPI_Finalize();
    return 0;
  } else if (mode == "lose") {
    go_on_without(number, rank, ranks, 3);
  } else if (mode == "lose-node") {
    if (rank == 1) kill(getppid(), SIGKILL);  // Open MPI's daemon, as when the node goes
    if (rank == 1) lose_self();
    go_on_without(1, rank, ranks, 3);
  } else if (mode == "lose-master") {
    if (rank == 0) lose_self();
    stay();
  } else if (mode == "stop") {
    if (rank == 1) raise(SIGSTOP);
    if (rank == 0) echelon::launch::tell_outcome(75);
    _exit(0);
  } else if (mode == "stay") {
    if (rank == 1) stay();
    if (rank == 0) echelon::launch::tell_outcome(3);
    _exit(0);
  } else if (mode == "hang-mpirun") {
    if (rank == 0) echelon::launch::tell_outcome(3);
    if (rank == 0) stay();
    sleep(2);  // it has handed on what was told
    kill(getppid(), SIGSTOP);
    stay();
  } else if (mode == "leave-child") {
    if (rank == 1 && fork() == 0) {
      setsid();
      stay();
    }
    code = 3;
  } else if (mode == "abort") {
    if (rank == number) MPI_Abort(MPI_COMM_WORLD, 3);
    stay();
  } else if (mode == "wind-up") {
    std::signal(SIGTERM, [](int) { asked_to_end = 1; });
    std::signal(SIGUSR1, [](int) { asked_to_end = 1; });
    if (rank == 0) std::fprintf(stderr, "ready\n");
    while (asked_to_end == 0) usleep(1000);
    if (rank == 0) echelon::launch::tell_outcome(75);
    _exit(0);
  } else if (mode == "wait") {
    if (rank == 0) std::fprintf(stderr, "ready\n");
    for (;;) sleep(1);
  } else if (mode == "input" && rank == 0) {
    const std::string input{std::istreambuf_iterator<char>{std::cin}, {}};
    std::printf("%zu %s", input.size(), input.substr(0, 20).c_str());
  }
  MPI_Finalize();
  std::fflush(stdout);
  if (rank == 0) echelon::launch::tell_outcome(code);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace echelon::launch;
  if (argc < 3) return 2;
  if (std::getenv("OMPI_COMM_WORLD_RANK") != nullptr) return run_as_rank(argc, argv);
  LaunchRequest request{.ranks = std::stoul(argv[1]),
                        .outlives_ranks = std::getenv("PROBE_FRAGILE") == nullptr,
                        .reads_input = std::getenv("PROBE_READS_INPUT") != nullptr,
                        .program = {this_executable()}};
  if (const char* program = std::getenv("PROBE_PROGRAM")) request.program = {program};
  if (std::getenv("PROBE_IGNORES_CHILDREN") != nullptr) std::signal(SIGCHLD, SIG_IGN);
  if (std::getenv("PROBE_HAS_CHILD") != nullptr && fork() == 0) {
    for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) close(descriptor);
    stay();
  }
  request.program.insert(request.program.end(), argv + 1, argv + argc);
  return launch(request);
}
