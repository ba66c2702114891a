#include "nursery_process.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/base/local_socket.hpp>
#include <echelon/measure/phase_clock.hpp>
#include <echelon/pool/nursery.hpp>

#include "runner.hpp"

namespace echelon::pool::detail {
namespace {

/// Ends this process with the other one.
void end_with(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(0);
}

/// Pipes and sockets of the rank's, whose other ends would wait for this process too. Files stay: tasks may use them.
void close_pipes(int kept) {
  std::vector<int> open;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd", error}) {
    const std::string name = entry.path().filename();
    int descriptor = -1;
    std::from_chars(name.data(), name.data() + name.size(), descriptor);
    open.push_back(descriptor);
  }
  for (const int descriptor : open) {
    struct stat what {};
    if (descriptor <= STDERR_FILENO || descriptor == kept || fstat(descriptor, &what) != 0) continue;
    if (S_ISFIFO(what.st_mode) || S_ISSOCK(what.st_mode)) close(descriptor);
  }
}

/// A task is not ended by what tells the rank to stop; a program that it starts is.
void ignore_stops() {
  for (const int signal : {SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGHUP}) {
    struct sigaction action {};
    sigaction(signal, nullptr, &action);
    if (action.sa_handler != SIG_DFL) continue;
    action.sa_handler = [](int) {};
    action.sa_flags = SA_RESTART;
    sigaction(signal, &action, nullptr);
  }
}

/// Where memory runs out, this process goes before a rank does.
void go_before_ranks() {
  const int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (score < 0) return;
  (void)!write(score, "500", 3);
  close(score);
}

void run_assigned(int socket) {
  Assignment assignment;
  if (!base::receive_all(socket, &assignment, sizeof(assignment))) return;
  const TasksHead& head = assignment.head;
  comm::Bytes bytes(head.function_bytes + assignment.argument_bytes);
  if (!base::receive_all(socket, bytes.data(), bytes.size())) return;
  const auto function_bytes = std::span<const std::byte>{bytes}.first(head.function_bytes);
  const auto argument = std::span<const std::byte>{bytes}.subspan(head.function_bytes);

  const pid_t self = getpid();
  const auto* type = static_cast<const TaskType*>(decode(head.type));
  Runner runner;
  {
    const Function function{*type, function_bytes};
    measure::PhaseClock clock;
    (void)runner.run(function, head.chunk.tasks, head.argument_size, argument, clock);
  }
  if (getpid() != self) return;  // a process that the task has started, and that has come back from it
  std::cout.flush();
  std::clog.flush();
  std::fflush(nullptr);
  const auto message = runner.message().view();
  const std::uint64_t size = message.size();
  (void)(base::send_all(socket, &size, sizeof(size)) && base::send_all(socket, message.data(), message.size()));
}

[[noreturn]] void be_child(int socket, pid_t nursery, const sigset_t& signals) {
  end_with(nursery);
  go_before_ranks();
  rlimit cores{};
  getrlimit(RLIMIT_CORE, &cores);
  cores.rlim_cur = 0;  // the rank that died over the task has left one
  setrlimit(RLIMIT_CORE, &cores);
  ignore_stops();
  sigprocmask(SIG_SETMASK, &signals, nullptr);
  try {
    run_assigned(socket);
  } catch (...) {  // of another build, or no memory: without a result
    _exit(static_cast<int>(base::ExitCode::broken));
  }
  _exit(0);
}

Ended how_it_ends(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return {.signal = 0, .status = -1};
  }
  if (WIFSIGNALED(status)) return {.signal = WTERMSIG(status), .status = 0};
  return {.signal = 0, .status = WEXITSTATUS(status)};
}

}  // namespace

void live_in_nursery(int socket, pid_t rank, const sigset_t& signals) {
  end_with(rank);
  setpgid(0, 0);  // what is sent to the rank's group is for the rank
  prctl(PR_SET_NAME, "echelon-nursery");
  struct sigaction of_children {};
  sigaction(SIGCHLD, nullptr, &of_children);
  signal(SIGCHLD, SIG_DFL);  // where it is ignored, nobody learns how a child ended
  try {
    close_pipes(socket);
    char start = 0;
    for (int task = -1; base::receive_all(socket, &start, sizeof(start), {&task, 1}); close(std::exchange(task, -1))) {
      const pid_t self = getpid();
      const pid_t child = fork();
      if (child == 0) {
        close(socket);
        sigaction(SIGCHLD, &of_children, nullptr);
        be_child(task, self, signals);
      }
      const Ended ended = child < 0 ? Ended{.signal = 0, .status = -1} : how_it_ends(child);
      if (!base::send_all(socket, &ended, sizeof(ended))) break;
    }
  } catch (...) {  // no memory: the rank notices that this process is gone
  }
  _exit(0);
}

}  // namespace echelon::pool::detail
