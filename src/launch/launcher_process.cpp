#include "launcher_process.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/launch/launcher.hpp>

namespace echelon::launch {
namespace {

volatile sig_atomic_t launcher_pid = 0;
volatile sig_atomic_t ends_by = SIGTERM;
volatile sig_atomic_t last_signal = 0;

bool ends_run(int signal) { return signal == SIGINT || signal == SIGTERM || signal == SIGHUP; }

void pass_on(int signal) {
  const bool ends = ends_run(signal);
  if (ends || signal == SIGUSR1 || signal == SIGUSR2) last_signal = signal;
  if (launcher_pid > 0) kill(launcher_pid, ends ? ends_by : signal);
  if (signal == SIGTSTP) raise(SIGSTOP);
}

/// mpirun does not unblock signals for itself, only for its ranks (Open MPI 4.1).
void set_signals(bool is_mpirun, sigset_t mask) {
  for (const int signal : {SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT, SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction now {};
    sigaction(signal, nullptr, &now);
    if (now.sa_handler != SIG_IGN || signal == ends_by) ::signal(signal, SIG_DFL);
  }
  if (is_mpirun) {
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
  }
  sigdelset(&mask, ends_by);
  sigprocmask(SIG_SETMASK, &mask, nullptr);
}

[[noreturn]] void become(const LauncherCommand& command, pid_t starter) {
  if (command.input != STDIN_FILENO) dup2(command.input, STDIN_FILENO);
  dup2(command.output, STDOUT_FILENO);
  dup2(command.errors, STDERR_FILENO);
  prctl(PR_SET_PDEATHSIG, static_cast<int>(ends_by));
  if (getppid() != starter) _exit(static_cast<int>(base::ExitCode::broken));  // it died before the line above
  command.set_environment();
  std::vector<std::string> words = command.words;
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  fmt::print(stderr, "echelon: cannot start {}: {}; {}\n", words.front(), std::strerror(errno),
             command.is_mpirun ? "-n needs Open MPI's mpirun on PATH (Debian: openmpi-bin)" : "see --launcher");
  _exit(static_cast<int>(base::ExitCode::broken));
}

}  // namespace

pid_t start_launcher(const LauncherCommand& command, const sigset_t& mask) {
  if (command.is_mpirun) ends_by = SIGHUP;
  const pid_t starter = getpid();
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("cannot start a process");
  // By both, since nobody knows which of the two comes first.
  if (child > 0) launcher_pid = child;
  setpgid(child, child);
  if (child == 0) {
    set_signals(command.is_mpirun, mask);
    become(command, starter);
  }
  return child;
}

void pass_signals_on() {
  struct sigaction action {};
  action.sa_handler = pass_on;
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT}) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);  // nohup's stays
  }
}

int last_passed_signal() noexcept { return last_signal; }
bool is_told_to_end() noexcept { return ends_run(last_signal); }
int end_signal() noexcept { return ends_by; }

void signal_launcher(int signal) noexcept {
  if (launcher_pid > 0) kill(launcher_pid, signal);
}

void forget_launcher() noexcept { launcher_pid = 0; }

}  // namespace echelon::launch
