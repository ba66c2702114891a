#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/launch/chatter_filter.hpp>
#include <echelon/launch/launcher.hpp>
#include <echelon/launch/outcome.hpp>
#include <echelon/measure/machine.hpp>

#include "processes.hpp"

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
  signal(SIGCHLD, SIG_DFL);  // where it is ignored, nobody learns how mpirun ended
  for (const int signal : passed_on) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);  // nohup's stays
  }
}

LaunchPlan plan_here(const LaunchRequest& request) {
  const auto is_set = [](const char* name) { return std::getenv(name) != nullptr; };
  const std::vector<int> cpus = measure::affinity();
  return {
      .ranks = request.ranks,
      .threads = request.threads,
      .outlives_ranks = request.outlives_ranks,
      .usable_cpus = measure::usable_cpus(),
      .usable_cores = measure::whole_cores(cpus),
      .all_cpus_of_machine = cpus.size() == measure::online_cpus(),
      .in_allocation = is_set("SLURM_JOB_ID") || is_set("PBS_JOBID") || is_set("LSB_JOBID") || is_set("PE_HOSTFILE") ||
                       is_set("OMPI_MCA_orte_default_hostfile"),
      .user_chose_transport = is_set("OMPI_MCA_pml") || is_set("OMPI_MCA_btl"),
  };
}

/// A place of the run's own for the files by which Open MPI's ranks share memory: each removes its own, and who is
/// killed would leave 4 MiB of memory behind for good. Only for ranks that are all here; without one Open MPI takes its
/// own.
class SharedMemoryFolder {
 public:
  SharedMemoryFolder() = default;
  ~SharedMemoryFolder() { remove(); }
  SharedMemoryFolder(const SharedMemoryFolder&) = delete;
  SharedMemoryFolder& operator=(const SharedMemoryFolder&) = delete;

  void make() {
    sweep();
    std::string path = fmt::format("/dev/shm/echelon-{}-XXXXXX", getpid());
    if (mkdtemp(path.data()) != nullptr) path_ = path;
  }
  void remove() noexcept {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(std::exchange(path_, {}), ignored);
  }
  /// Tells mpirun of it, unless the user has chosen another.
  void announce() const {
    if (!path_.empty()) setenv("OMPI_MCA_btl_vader_backing_directory", path_.c_str(), 0);
  }

 private:
  /// Takes away what starters that were killed have left.
  static void sweep() {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator{"/dev/shm", ignored}) {
      int starter = 0;
      if (std::sscanf(entry.path().filename().c_str(), "echelon-%d-", &starter) != 1 || starter <= 0) continue;
      if (kill(starter, 0) != 0 && errno == ESRCH) std::filesystem::remove_all(entry.path(), ignored);
    }
  }

  std::string path_;
};

[[noreturn]] void become(std::vector<std::string> command, bool reads_input, const std::string& token, int output_pipe,
                         int error_pipe, pid_t starter) {
  // mpirun reads all of the caller's input, as in a shell's loop over lines, even where no rank wants any.
  if (!reads_input) {
    if (const int nothing = open("/dev/null", O_RDONLY); nothing >= 0) dup2(nothing, STDIN_FILENO);
  }
  dup2(output_pipe, STDOUT_FILENO);
  dup2(error_pipe, STDERR_FILENO);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != starter) _exit(static_cast<int>(ExitCode::broken));  // it died before the line above
  setenv(launched_variable, token.c_str(), 1);
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

/// What there is of a run while it goes on.
struct Run {
  const LaunchRequest& request;
  int output;  ///< pipes from mpirun; -1 once they are at their end
  int errors;
  OutcomeReader outcome;
  ChatterFilter chatter = {};
  bool output_taken = true;  ///< false where standard output could not take it, which mpirun would pass over in silence

  [[nodiscard]] bool is_silent() const { return output < 0 && errors < 0; }
  void copy(std::chrono::milliseconds patience);
};

/// Hands on what the ranks print, after waiting for it.
void Run::copy(std::chrono::milliseconds patience) {
  std::array<char, 65536> buffer{};
  std::array<pollfd, 2> pipes{{{output, POLLIN, 0}, {errors, POLLIN, 0}}};  // poll() passes over what is -1
  if (poll(pipes.data(), pipes.size(), static_cast<int>(patience.count())) < 0) return;  // a signal
  if (pipes[0].revents != 0) {
    std::string_view text = read_some(output, buffer);
    while (output_taken && !text.empty()) {
      const ssize_t size = write(STDOUT_FILENO, text.data(), text.size());
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) {
        output_taken = false;
        put(fmt::format("echelon: cannot write standard output: {}\n", std::strerror(errno)));
        kill(child_pid, SIGTERM);
        break;
      }
      text.remove_prefix(static_cast<std::size_t>(size));
    }
  }
  if (pipes[1].revents != 0) {
    put(chatter.feed(outcome.feed(read_some(errors, buffer))));
    if (errors < 0) put(chatter.feed(outcome.finish()) + chatter.finish());
  }
}

/// When to end an mpirun that does not end by itself: it waits for every rank, and for ever for those that hang, were
/// stopped, or went with their node.
class Patience {
 public:
  /// The signal to send to mpirun now, or 0.
  int signal_now(const Run& run) {
    if (!begun_) {
      const std::optional<Step> step = first(run);
      if (!step || !next_ || step->at < next_->at) next_ = step;
    }
    if (!next_ || clock::now() < next_->at) return 0;
    begun_ = true;
    const int now = next_->signal;
    next_ = now == SIGTERM ? std::optional{Step{SIGKILL, clock::now() + after_signal}} : std::nullopt;
    return now;
  }

 private:
  using clock = std::chrono::steady_clock;
  struct Step {
    int signal;
    clock::time_point at;
  };

  static constexpr std::chrono::seconds after_outcome{5};
  static constexpr std::chrono::seconds after_failure{10};  // ranks that have lost the master leave by then
  static constexpr std::chrono::seconds after_signal{5};    // mpirun itself gives its ranks 2 s

  /// As if all that is known of the run had happened now.
  static std::optional<Step> first(const Run& run) {
    const auto now = clock::now();
    if (!run.output_taken || last_signal == SIGINT || last_signal == SIGTERM || last_signal == SIGHUP) {
      return Step{SIGKILL, now + after_signal};  // mpirun has been told to end
    }
    const std::optional<Failure>& failure = run.chatter.failure();
    // An aborted rank wants the others to be ended, which mpirun does not do here; nor does it end what cannot start.
    if (failure && (failure->kind == Failure::Kind::aborted || failure->kind == Failure::Kind::not_started)) {
      return Step{SIGTERM, now};
    }
    if (run.outcome.outcome()) return Step{SIGTERM, now + after_outcome};
    if (failure) return Step{SIGTERM, now + after_failure};
    return std::nullopt;
  }

  std::optional<Step> next_;
  bool begun_ = false;
};

/// Sees the run to its end, and mpirun to its own. Returns how mpirun ended, as waitpid() tells it.
int see_through(Run& run, pid_t mpirun) {
  while (!run.is_silent()) run.copy(std::chrono::milliseconds{-1});
  int status = 0;
  while (waitpid(mpirun, &status, 0) < 0 && errno == EINTR) {
  }
  child_pid = 0;
  return status;
}

/// As see_through(), where mpirun cannot be relied upon; `spared` are children of this process that are not of the run.
int supervise(Run& run, pid_t mpirun, const std::vector<pid_t>& spared) {
  constexpr std::chrono::milliseconds look{50};
  constexpr int last_looks = 20;  // what holds the pipes after the end is not of the run
  Patience patience;
  std::optional<int> status;
  while (!status) {
    run.copy(run.is_silent() ? look / 10 : look);
    if (const int signal = patience.signal_now(run); signal != 0) kill(mpirun, signal);
    int ended_with = 0;
    for (pid_t ended = 0; (ended = waitpid(-1, &ended_with, WNOHANG)) > 0;) {
      if (ended == mpirun) status = ended_with;
    }
  }
  child_pid = 0;
  kill_descendants(spared);
  for (int i = 0; i < last_looks && !run.is_silent(); ++i) run.copy(look);
  return *status;
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

/// Why a run that may lose ranks has come to no outcome.
std::string why_lost(int status, const Run& run) {
  const auto& failure = run.chatter.failure();
  if (!failure) {
    if (WIFSIGNALED(status)) return fmt::format("mpirun was killed by signal {}", WTERMSIG(status));
    if (!run.chatter.master_started()) return fmt::format("mpirun ended with status {}", WEXITSTATUS(status));
    return "the master (rank 0) ended without telling an outcome";
  }
  switch (failure->kind) {
    case Failure::Kind::not_started:
      return fmt::format("mpirun could not start {} as rank {}", run.request.program.front(), failure->rank);
    case Failure::Kind::ended_early:
      return fmt::format("rank {} ended before MPI had started on all ranks", failure->rank);
    case Failure::Kind::master_killed: return "the master (rank 0) was killed by a signal";
    case Failure::Kind::master_ended: return "the master (rank 0) ended without telling an outcome";
    case Failure::Kind::aborted: break;
  }
  return {};  // the rank has said why
}

int exit_code_of_outcome(int status, const Run& run) {
  if (run.outcome.outcome()) return *run.outcome.outcome();
  if (const std::string why = why_lost(status, run); !why.empty()) {
    put(fmt::format("echelon: {}; the run is lost, start it again\n", why));
  }
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
    add({"-x", launched_variable, "-x", "OMP_WAIT_POLICY"});
  }
  // Without its states mpirun would not say that a rank was lost, nor wait less long for what never comes.
  if (plan.outlives_ranks) add({"--enable-recovery", "--mca", "state_base_verbose", "1"});
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

std::string this_executable() {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "/proc/self/exe" : path.string();
}

int launch(const LaunchRequest& request) {
  const LaunchPlan plan = plan_here(request);
  const std::vector<std::string> command = mpirun_command(plan, request.program);
  const std::string token = new_token();
  std::array<int, 2> output{};
  std::array<int, 2> errors{};
  if (pipe2(output.data(), O_CLOEXEC) != 0 || pipe2(errors.data(), O_CLOEXEC) != 0) {
    throw std::runtime_error("cannot make a pipe");
  }
  SharedMemoryFolder folder;
  if (!plan.in_allocation) folder.make();
  std::vector<pid_t> spared;
  if (request.outlives_ranks) {
    spared = children();
    // What mpirun leaves behind becomes a child of this process.
    prctl(PR_SET_CHILD_SUBREAPER, 1);
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
  if (child == 0) folder.announce();
  if (child == 0) become(command, request.reads_input, token, output[1], errors[1], starter);
  close(output[1]);
  close(errors[1]);
  Run run{.request = request, .output = output[0], .errors = errors[0], .outcome = OutcomeReader{token}};
  const int status = request.outlives_ranks ? supervise(run, child, spared) : see_through(run, child);
  folder.remove();
  if (last_signal != 0 && !run.outcome.outcome()) {
    // Ended on request: say so as any program does, by ending on that signal.
    signal(last_signal, SIG_DFL);
    raise(last_signal);
  }
  if (!run.output_taken) return static_cast<int>(ExitCode::broken);
  if (request.outlives_ranks) return exit_code_of_outcome(status, run);
  return last_signal != 0 ? *run.outcome.outcome() : exit_code(status, run.chatter);
}

}  // namespace echelon::launch
