// A program that is the starter of its own ranks, as those of the library's users are: `launch_probe RANKS MODE...`.
// The starter's flags come from the environment: PROBE_FRAGILE (a lost rank ends the run), PROBE_READS_INPUT,
// PROBE_PROGRAM (start this instead), PROBE_HAS_CHILD (of its own, which it does not wait for), PROBE_IGNORES_CHILDREN,
// PROBE_STOPS_BY_ITSELF. With PROBE_FAR the ranks cannot reach the starter, as on another node.
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <fmt/format.h>
#include <mpi.h>
#include <unistd.h>

#include <echelon/base/launcher_variables.hpp>
#include <echelon/launch/launcher.hpp>
#include <echelon/launch/rank_report.hpp>
#include <echelon/launch/starter.hpp>

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
  if (std::getenv("PROBE_FRAGILE") != nullptr) stay();  // until the loss ends the run
  sleep(1);                                             // the loss is known everywhere by now
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

void print(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = write(descriptor, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return;
    text.remove_prefix(static_cast<std::size_t>(size));
  }
}

/// What one reading gives; nothing at the end.
std::string_view read_from(int descriptor, std::array<char, 65536>& buffer) {
  ssize_t size = 0;
  while ((size = read(descriptor, buffer.data(), buffer.size())) < 0 && errno == EINTR) {
  }
  return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

/// Rank 0 of a run that stops by itself. Returns its outcome, or nothing where it tells none.
std::optional<int> run_as_master(std::string_view mode, int number) {
  echelon::launch::Starter starter;
  std::array<char, 65536> buffer{};
  const auto wait_for_requests = [&](int requests) {
    while (starter.stop_requests() < requests) usleep(1000);
  };
  if (mode == "lose-master") lose_self();
  if (mode == "where") {
    print(starter.output(), starter.is_here() ? "here\n" : "far\n");
  } else if (mode == "user-variables") {
    print(starter.output(), std::getenv(echelon::base::user_variables));
  } else if (mode == "sum") {  // Fletcher's, as the test does
    std::uint64_t size = 0;
    std::uint64_t sum = 0;
    std::uint64_t sums = 0;
    for (std::string_view text; !(text = read_from(starter.input(), buffer)).empty();) {
      size += text.size();
      for (const char c : text) sums += sum += static_cast<unsigned char>(c);
    }
    print(starter.output(), fmt::format("{} {} {}\n", size, sum, sums));
  } else if (mode == "echo") {
    print(starter.errors(), "ready\n");
    for (std::string_view text; !(text = read_from(starter.input(), buffer)).empty();) print(starter.errors(), text);
  } else if (mode == "read-once") {
    print(starter.output(), std::string{read_from(starter.input(), buffer).substr(0, 5)} + "\n");
  } else if (mode == "print-errors") {
    const std::string dashes(74, '-');
    print(STDERR_FILENO, "from the rank\n");
    print(starter.errors(), dashes + "\nprocess rank 1 with PID 7 on node a exited on signal 9 (Killed)\n" + dashes +
                                "\n[a:1] 2 more processes have sent help message help.txt\n[a:1] no end of line");
  } else if (mode == "pour") {  // `number` MB that are not text
    std::string block(1'000'000, '\0');
    for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<char>(i * i >> 5U);
    for (int i = 0; i < number; ++i) print(starter.output(), block);
  } else if (mode == "pour-for-ever") {
    const std::string block(100'000, 'x');
    ssize_t size = 0;
    while (starter.stop_requests() == 0 && (size = write(starter.output(), block.data(), block.size())) >= 0) {
    }
    print(starter.errors(), size < 0 && errno == EPIPE ? "nobody reads\n" : "asked to stop\n");
    return 75;
  } else if (mode == "stop-late") {
    print(starter.errors(), "ready\n");
    wait_for_requests(1);
    print(starter.errors(), "asked to stop\n");
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{number};
    while (std::chrono::steady_clock::now() < end) usleep(1000);
    print(starter.errors(), fmt::format("requests: {}\n", starter.stop_requests()));
    return 75;
  } else if (mode == "stop-at-second" || mode == "ignore-second") {
    print(starter.errors(), "ready\n");
    wait_for_requests(1);
    print(starter.errors(), "asked to stop\n");
    wait_for_requests(2);
    print(starter.errors(), "asked to end\n");
    if (mode == "ignore-second") return std::nullopt;
    return 75;
  }
  return 0;
}

int run_as_rank(int argc, char** argv) {
  const std::string_view mode = argv[2];
  const int number = argc > 3 ? std::atoi(argv[3]) : 0;
  if (mode == "early" && std::atoi(std::getenv("OMPI_COMM_WORLD_RANK")) == number) return 3;
  if (mode == "without-mpi") {
    echelon::launch::tell_begun(std::atoi(std::getenv("OMPI_COMM_WORLD_RANK")));
    if (std::atoi(std::getenv("OMPI_COMM_WORLD_RANK")) == 0) echelon::launch::tell_outcome(number);
    return 0;
  }
  if (std::getenv("PROBE_FAR") != nullptr) unsetenv(echelon::launch::starter_variable);
  if (std::getenv("PROBE_STOPS_BY_ITSELF") != nullptr) {
    echelon::launch::expect_stop_signals(std::atoi(std::getenv("OMPI_COMM_WORLD_RANK")));
  }
  echelon::launch::tell_begun(std::atoi(std::getenv("OMPI_COMM_WORLD_RANK")));
  int rank = 0;
  int ranks = 1;
  MPI_Init(&argc, &argv);
  echelon::launch::print_past_launcher();
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == 0) echelon::launch::tell_started();
  int code = 0;
  if (std::getenv("PROBE_STOPS_BY_ITSELF") != nullptr) {
    if (rank != 0) {
      for (int end = 0; end == 0; usleep(1000)) MPI_Iprobe(0, 0, MPI_COMM_WORLD, &end, MPI_STATUS_IGNORE);
      _exit(0);
    }
    const std::optional<int> outcome = run_as_master(mode, number);
    if (!outcome) stay();
    for (int other = 1; other < ranks; ++other) MPI_Send(&number, 1, MPI_INT, other, 0, MPI_COMM_WORLD);
    echelon::launch::tell_outcome(*outcome);
    _exit(0);
  }
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
    // The end of a rank cuts short the second that mpirun gives the others between SIGTERM and SIGKILL.
    if (rank != 0) usleep(500'000);
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
    if (rank == number) echelon::launch::tell_abort(3, false);
    if (rank == number) MPI_Abort(MPI_COMM_WORLD, 3);
    stay();
  } else if (mode == "wind-up") {
    std::signal(SIGTERM, [](int) { asked_to_end = 1; });
    std::signal(SIGUSR1, [](int) { asked_to_end = 1; });
    if (rank == 0) std::fprintf(stderr, "ready\n");
    while (asked_to_end == 0) usleep(1000);
    if (rank == 0) echelon::launch::tell_outcome(75);
    // As above, the end of a rank would leave rank 0 no time to say so.
    if (rank != 0) sleep(5);
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
                        .stops_by_itself = std::getenv("PROBE_STOPS_BY_ITSELF") != nullptr,
                        .stops_without_reader = std::getenv("PROBE_STOPS_BY_ITSELF") != nullptr,
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
