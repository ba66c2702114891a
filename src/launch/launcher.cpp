#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <span>
#include <stdexcept>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/launch/chatter_filter.hpp>
#include <echelon/launch/launcher.hpp>
#include <echelon/measure/machine.hpp>

namespace echelon::launch {
namespace {

using base::ExitCode;

volatile sig_atomic_t child_pid = 0;
volatile sig_atomic_t last_signal = 0;

void pass_on(int signal, siginfo_t* info, void* /*context*/) {
  last_signal = signal;
  // What the terminal sends (si_code SI_KERNEL) reaches mpirun too: a second one would make it drop its ranks at once.
  if (info->si_code != SI_KERNEL && child_pid > 0) kill(child_pid, signal);
}

constexpr std::array passed_on{SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};

void handle_signals() {
  struct sigaction action {};
  action.sa_sigaction = pass_on;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  for (const int signal : passed_on) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);  // nohup's stays
  }
}

LaunchPlan plan_here(std::uint64_t ranks, std::uint64_t threads) {
  const auto is_set = [](const char* name) { return std::getenv(name) != nullptr; };
  const std::vector<int> cpus = measure::affinity();
  return {
      .ranks = ranks,
      .threads = threads,
      .usable_cpus = measure::usable_cpus(),
      .usable_cores = measure::whole_cores(cpus),
      .all_cpus_of_machine = cpus.size() == measure::online_cpus(),
      .in_allocation = is_set("SLURM_JOB_ID") || is_set("PBS_JOBID") || is_set("LSB_JOBID") || is_set("PE_HOSTFILE") ||
                       is_set("OMPI_MCA_orte_default_hostfile"),
      .user_chose_transport = is_set("OMPI_MCA_pml") || is_set("OMPI_MCA_btl"),
  };
}

[[noreturn]] void become(std::vector<std::string> command, int output_pipe, int error_pipe, pid_t starter) {
  // mpirun would read all of the caller's input, as in a shell's loop over lines; no command wants any.
  if (const int nothing = open("/dev/null", O_RDONLY); nothing >= 0) dup2(nothing, STDIN_FILENO);
  dup2(output_pipe, STDOUT_FILENO);
  dup2(error_pipe, STDERR_FILENO);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != starter) _exit(static_cast<int>(ExitCode::broken));  // it died before the line above
  setenv("ECHELON_LAUNCHED", "1", 1);
  // A rank's OpenMP threads sleep between loops, rather than spin on CPUs that other ranks may need: two ranks of two
  // threads each on two CPUs took some hundred times as long.
  setenv("OMP_WAIT_POLICY", "passive", 0);
  // Open MPI refuses root otherwise; in containers and CI root is all there is.
  if (geteuid() == 0) {
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  }
  std::vector<char*> argv;
  argv.reserve(command.size() + 1);
  for (std::string& argument : command) argv.push_back(argument.data());
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  fmt::print(stderr, "echelon: cannot start {}: {}; -n needs Open MPI's mpirun on PATH (Debian: openmpi-bin)\n",
             command.front(), std::strerror(errno));
  _exit(static_cast<int>(ExitCode::broken));
}

void put(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

/// Reads once from `pipe`, which it closes and forgets at its end.
std::string_view read_some(int& pipe, std::span<char> buffer) {
  const ssize_t size = read(pipe, buffer.data(), buffer.size());
  if (size > 0) return {buffer.data(), static_cast<std::size_t>(size)};
  if (size < 0 && errno == EINTR) return {};
  close(pipe);
  pipe = -1;
  return {};
}

/// Hands on what the ranks print until they have closed both pipes; false where standard output could not take it,
/// which mpirun would pass over in silence.
bool copy(int output, int errors, ChatterFilter& filter) {
  std::array<char, 65536> buffer{};
  bool taken = true;
  while (output >= 0 || errors >= 0) {
    std::array<pollfd, 2> pipes{{{output, POLLIN, 0}, {errors, POLLIN, 0}}};   // poll() passes over what is -1
    if (poll(pipes.data(), pipes.size(), -1) < 0 && errno == EINTR) continue;  // a signal
    if (pipes[0].revents != 0) {
      std::string_view text = read_some(output, buffer);
      while (taken && !text.empty()) {
        const ssize_t size = write(STDOUT_FILENO, text.data(), text.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) {
          taken = false;
          put(fmt::format("echelon: cannot write standard output: {}\n", std::strerror(errno)));
          kill(child_pid, SIGTERM);
          break;
        }
        text.remove_prefix(static_cast<std::size_t>(size));
      }
    }
    if (pipes[1].revents != 0) put(filter.feed(read_some(errors, buffer)));
  }
  put(filter.finish());
  return taken;
}

int exit_code(int status, const ChatterFilter& filter) {
  if (const auto& killed = filter.killed()) {
    put(fmt::format("echelon: rank {} on {} was killed by signal {} ({}); the run is lost, start it again\n",
                    killed->rank, killed->host, killed->signal, killed->signal_name));
    return static_cast<int>(ExitCode::broken);
  }
  if (WIFSIGNALED(status)) {
    put(fmt::format("echelon: mpirun was killed by signal {}; the run is lost, start it again\n", WTERMSIG(status)));
    return static_cast<int>(ExitCode::broken);
  }
  const int code = WEXITSTATUS(status);
  for (const ExitCode ours :
       {ExitCode::done, ExitCode::usage, ExitCode::tasks_failed, ExitCode::broken, ExitCode::resumable}) {
    if (code == static_cast<int>(ours)) return code;
  }
  if (code == static_cast<int>(ExitCode::wrong_answer) && filter.rank_failed()) return code;
  put(fmt::format("echelon: mpirun ended with status {}; the run is lost\n", code));
  return static_cast<int>(ExitCode::broken);
}

}  // namespace

std::vector<std::string> mpirun_command(const LaunchPlan& plan, const std::vector<std::string>& program) {
  std::vector<std::string> command{"mpirun", "-n", std::to_string(plan.ranks)};
  const auto add = [&](std::initializer_list<std::string> words) { command.insert(command.end(), words); };
  if (!plan.in_allocation) {
    // All ranks are here: as many slots as ranks, no need for ssh, and shared memory between them. Open MPI would look
    // for networks first, which takes longer than all the rest of a start (0.41 s against 0.17 s).
    add({"--host", "localhost:" + std::to_string(plan.ranks), "--mca", "plm", "isolated"});
    if (!plan.user_chose_transport) add({"--mca", "pml", "ob1", "--mca", "btl", "self,vader"});
  } else {
    // What become() sets; mpirun hands its environment on to the ranks of its own node only.
    add({"-x", "ECHELON_LAUNCHED", "-x", "OMP_WAIT_POLICY"});
  }
  const std::uint64_t threads = plan.ranks * plan.threads;
  const std::string map = "slot:PE=" + std::to_string(plan.threads);
  // mpirun binds without regard to the CPUs that it was confined to, so there the ranks inherit these instead.
  const bool bindable = plan.in_allocation || (plan.all_cpus_of_machine && threads <= plan.usable_cpus);
  if (!bindable) {
    add({"--bind-to", "none"});
    if (threads > plan.usable_cpus) add({"--mca", "mpi_yield_when_idle", "1"});
  } else if (plan.in_allocation || threads <= plan.usable_cores) {
    add({"--map-by", map, "--bind-to", "core"});
  } else {
    add({"--use-hwthread-cpus", "--map-by", map, "--bind-to", "hwthread"});
  }
  command.insert(command.end(), program.begin(), program.end());
  return command;
}

int launch(std::uint64_t ranks, std::uint64_t threads, const std::vector<std::string>& program) {
  const std::vector<std::string> command = mpirun_command(plan_here(ranks, threads), program);
  std::array<int, 2> output{};
  std::array<int, 2> errors{};
  if (pipe2(output.data(), O_CLOEXEC) != 0 || pipe2(errors.data(), O_CLOEXEC) != 0) {
    throw std::runtime_error("cannot make a pipe");
  }
  handle_signals();
  // A signal between fork() and the next line would find no one to be passed on to.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &before);
  const pid_t starter = getpid();
  const pid_t child = fork();
  if (child > 0) child_pid = child;
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (child < 0) throw std::runtime_error("cannot start a process");
  if (child == 0) become(command, output[1], errors[1], starter);
  close(output[1]);
  close(errors[1]);
  ChatterFilter filter;
  const bool output_taken = copy(output[0], errors[0], filter);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  child_pid = 0;
  if (last_signal != 0) {
    // Ended on request: say so as any program does, by ending on that signal.
    signal(last_signal, SIG_DFL);
    raise(last_signal);
  }
  return output_taken ? exit_code(status, filter) : static_cast<int>(ExitCode::broken);
}

}  // namespace echelon::launch
