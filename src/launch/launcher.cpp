#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
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
#include <echelon/base/files.hpp>
#include <echelon/base/launcher_variables.hpp>
#include <echelon/base/processes.hpp>
#include <echelon/launch/chatter_filter.hpp>
#include <echelon/launch/launcher.hpp>
#include <echelon/launch/outcome.hpp>
#include <echelon/launch/srun_filter.hpp>
#include <echelon/launch/start_report.hpp>
#include <echelon/launch/starter.hpp>
#include <echelon/launch/stop_requests.hpp>
#include <echelon/measure/machine.hpp>

#include "input_pump.hpp"
#include "left_behind.hpp"
#include "line.hpp"
#include "rank_watch.hpp"
#include "run_folder.hpp"
#include "start_watch.hpp"
#include "stop_signals.hpp"
#include "way_out.hpp"

namespace echelon::launch {
namespace {

using base::ExitCode;

volatile sig_atomic_t child_pid = 0;
volatile sig_atomic_t end_signal = SIGTERM;  // by which this process, and no one else, ends its child
volatile sig_atomic_t last_signal = 0;

constexpr std::array ending{SIGINT, SIGTERM, SIGHUP};

void pass_on(int signal) {
  const bool ends = std::ranges::find(ending, signal) != ending.end();
  if (ends || signal == SIGUSR1 || signal == SIGUSR2) last_signal = signal;
  if (child_pid > 0) kill(child_pid, ends ? end_signal : signal);
  if (signal == SIGTSTP) raise(SIGSTOP);
}

/// The child hears nothing from a terminal itself.
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

LaunchPlan plan_here(const LaunchRequest& request) {
  const auto is_set = [](const char* name) { return std::getenv(name) != nullptr; };
  const std::vector<int> cpus = measure::affinity();
  LaunchPlan plan{
      .ranks = request.ranks,
      .threads = request.threads,
      .outlives_ranks = request.outlives_ranks,
      .stops_by_itself = request.stops_by_itself,
      .bind = request.bind,
      .usable_cpus = measure::usable_cpus(),
      .usable_cores = measure::whole_cores(cpus),
      .all_cpus_of_machine = cpus.size() == measure::online_cpus(),
      .in_allocation = is_set("SLURM_JOB_ID") || is_set("PBS_JOBID") || is_set("LSB_JOBID") || is_set("PE_HOSTFILE") ||
                       is_set("OMPI_MCA_orte_default_hostfile"),
      .slurm = measure::slurm_allocation(),
      .in_step = is_set("SLURM_STEP_ID"),
      .user_chose_transport = is_set("OMPI_MCA_pml") || is_set("OMPI_MCA_btl"),
  };
  if (is_set(grace_variable)) plan.variables.emplace_back(grace_variable);
  return plan;
}

/// srun has PMIx, by which ranks find each other, and binds them to CPUs of their own. Asks SLURM, once.
bool srun_serves() {
  static const bool serves = [] {
    std::FILE* const answer = popen("{ srun --mpi=list; scontrol show config; } 2>&1", "r");
    if (answer == nullptr) return false;
    std::string text;
    std::array<char, 4096> part{};
    for (std::size_t size = 0; (size = fread(part.data(), 1, part.size(), answer)) > 0;) text.append(part.data(), size);
    return pclose(answer) == 0 && says_srun_serves(text);
  }();
  return serves;
}

/// Asks srun only where it matters.
Launcher settled(Launcher launcher, const LaunchPlan& plan) {
  const bool asks = launcher.kind == Launcher::Kind::automatic && plan.slurm && !plan.outlives_ranks;
  launcher.kind = chosen(launcher.kind, plan, asks && srun_serves());
  return launcher;
}

/// The names of the user's own variables among those of launchers.
std::string users_launcher_variables() {
  std::string names;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text{*entry};
    const std::string_view name = text.substr(0, text.find('='));
    if (!base::is_of_launchers(name)) continue;
    if (!names.empty()) names += base::user_variables_separator;
    names += name;
  }
  return names;
}

/// For the process that becomes the launcher. Batch systems, and who ends a whole process tree, send TERM to mpirun,
/// too: it would kill its ranks before they can stop in order, and a second one would have it leave its files. It does
/// not unblock signals for itself, only for its ranks (Open MPI 4.1), so there it is ended by HUP.
void set_signals(bool is_mpirun, sigset_t mask) {
  for (const int signal : {SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT, SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction now {};
    sigaction(signal, nullptr, &now);
    if (now.sa_handler != SIG_IGN || signal == end_signal) ::signal(signal, SIG_DFL);
  }
  if (is_mpirun) {
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
  }
  sigdelset(&mask, end_signal);
  sigprocmask(SIG_SETMASK, &mask, nullptr);
}

[[noreturn]] void become(std::vector<std::string> command, const std::string& token, int input, int output, int errors,
                         pid_t starter) {
  if (input != STDIN_FILENO) dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(errors, STDERR_FILENO);
  prctl(PR_SET_PDEATHSIG, end_signal);
  if (getppid() != starter) _exit(static_cast<int>(ExitCode::broken));  // it died before the line above
  setenv(launched_variable, token.c_str(), 1);
  let_srun_start_all();
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
  fmt::print(
      stderr, "echelon: cannot start {}: {}; {}\n", command.front(), std::strerror(errno),
      command.front() == "mpirun" ? "-n needs Open MPI's mpirun on PATH (Debian: openmpi-bin)" : "see --launcher");
  _exit(static_cast<int>(ExitCode::broken));
}

/// A standard descriptor that is closed would be given to the next pipe; so it still fails, and no pipe is in its
/// place.
void fill_standard_descriptors() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) < 0) (void)open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
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

/// Of a child that has not been waited for.
bool was_killed(pid_t child) {
  siginfo_t end{};
  if (waitid(P_PID, static_cast<id_t>(child), &end, WEXITED | WNOHANG | WNOWAIT) != 0) return false;
  return end.si_pid == child && end.si_code != CLD_EXITED;
}

/// Two connected descriptors that programs do not inherit.
struct Pipe {
  int out = -1;  ///< to read from
  int in = -1;   ///< to write to

  static Pipe make() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
    return {ends[0], ends[1]};
  }
};

/// What there is of a run while it goes on.
struct Run {
  const LaunchRequest& request;
  int output;  ///< pipes from mpirun; -1 once they are at their end
  int errors;
  OutcomeReader outcome;
  std::string launcher = "mpirun";
  ChatterFilter chatter = {};  ///< mpirun's, and what Open MPI's ranks say under any launcher
  std::optional<SrunFilter> srun = {};
  RankWatch& ranks;
  StartWatch start;
  bool output_taken = true;  ///< false where standard output could not take it, which mpirun would pass over in silence

  // Of a run that stops by itself:
  Line line = {};
  int mpiruns_input = -1;  ///< a pipe, until it is known whether rank 0 needs it
  InputPump input = {};
  bool reader_gone = false;  ///< nobody reads standard output any more
  int asked_to_stop = 0;     ///< requests that rank 0 was given

  [[nodiscard]] bool is_silent() const { return output < 0 && errors < 0; }
  [[nodiscard]] int requests_to_stop() const {
    return request.stops_by_itself ? std::max(counted_stop_signals(), reader_gone ? 1 : 0) : 0;
  }
  /// Of what comes on the launcher's standard error what the user is to see.
  std::string filtered(std::string_view text) { return chatter.feed(srun ? srun->feed(text) : std::string{text}); }
  std::string filtered_rest() { return chatter.feed(srun ? srun->finish() : std::string{}) + chatter.finish(); }
  [[nodiscard]] const std::optional<KilledRank>& killed() const { return srun ? srun->killed() : chatter.killed(); }
  void copy(std::chrono::milliseconds patience);
  void meet_rank_0();
  void ask_to_stop();
};

/// Gives rank 0, which has come, what this process has.
void Run::meet_rank_0() {
  const int mine = request.reads_input ? STDIN_FILENO : open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (isatty(mine) == 0) {
    line.hand_over({mine, STDOUT_FILENO, STDERR_FILENO}, request.files);
  } else {
    // Only the terminal's foreground processes may read it, of which rank 0 is none.
    const Pipe pipe = Pipe::make();
    line.hand_over({pipe.out, STDOUT_FILENO, STDERR_FILENO}, request.files);
    close(pipe.out);
    input.start(pipe.in);
  }
  if (mine != STDIN_FILENO) close(mine);
  if (mpiruns_input >= 0) close(std::exchange(mpiruns_input, -1));
}

/// Hands on the requests to stop, as soon as rank 0 can take them.
void Run::ask_to_stop() {
  for (; asked_to_stop < requests_to_stop(); ++asked_to_stop) {
    if (line.is_open()) {
      line.ask_to_stop(last_stop_signal());
    } else if (outcome.out_of_reach() && child_pid > 0) {
      kill(child_pid, asked_to_stop == 0 ? SIGUSR1 : SIGUSR2);  // these two mpirun hands on to the ranks
    } else {
      return;
    }
  }
}

/// Hands on what the ranks print and read, after waiting for it.
void Run::copy(std::chrono::milliseconds patience) {
  std::array<char, 65536> buffer{};
  // poll() passes over what is -1.
  std::array<pollfd, 5> pipes{{{output, POLLIN, 0},
                               {errors, POLLIN, 0},
                               {line.listener(), POLLIN, 0},
                               input.waits_for(),
                               {ranks.descriptor(), POLLIN, 0}}};
  if (poll(pipes.data(), pipes.size(), static_cast<int>(patience.count())) < 0) return;  // a signal
  if (pipes[0].revents != 0) {
    std::string_view text = read_some(output, buffer);
    while (output_taken && !reader_gone && !text.empty()) {
      const ssize_t size = write(STDOUT_FILENO, text.data(), text.size());
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && errno == EPIPE && request.stops_without_reader) {
        reader_gone = true;  // as in `| head`: no failure
        break;
      }
      if (size < 0) {
        output_taken = false;
        put(fmt::format("echelon: cannot write standard output: {}\n", std::strerror(errno)));
        kill(child_pid, end_signal);
        break;
      }
      text.remove_prefix(static_cast<std::size_t>(size));
    }
  }
  if (pipes[1].revents != 0) {
    const std::string text = outcome.feed(read_some(errors, buffer));
    ranks.step();  // after reading: a rank's connection closes before mpirun can say something of its end
    if (child_pid > 0 && (outcome.outcome() || ranks.killed_at_start() || was_killed(child_pid))) {
      chatter.pass_over(child_pid, !outcome.outcome());
    }
    put(filtered(text));
    if (errors < 0) {
      put(filtered(outcome.finish()));
      put(filtered_rest());
    }
    if (outcome.out_of_reach() && mpiruns_input >= 0) input.start(std::exchange(mpiruns_input, -1));
  }
  if (pipes[2].revents != 0) meet_rank_0();
  if (pipes[3].revents != 0) input.step();
  if (pipes[4].revents != 0) ranks.step();
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
    next_ = now != SIGKILL ? std::optional{Step{SIGKILL, clock::now() + after_signal}} : std::nullopt;
    return now;
  }
  [[nodiscard]] bool has_begun() const noexcept { return begun_; }

 private:
  using clock = std::chrono::steady_clock;
  struct Step {
    int signal;
    clock::time_point at;
  };

  static constexpr std::chrono::seconds after_outcome{5};
  static constexpr std::chrono::seconds after_failure{10};   // ranks that have lost the master leave by then
  static constexpr std::chrono::seconds after_early_end{1};  // nobody has anything to leave in order
  static constexpr std::chrono::seconds after_signal{5};     // mpirun itself gives its ranks 2 s
  static constexpr std::chrono::seconds after_insisting{5};
  static constexpr std::chrono::seconds after_rank_0{1};  // which may have ended itself, without the others
  static constexpr std::chrono::seconds for_launcher{2};  // it ends such a run itself, and says how the rank died
  static constexpr std::chrono::seconds no_time{0};

  /// As if all that is known of the run had happened now.
  static std::optional<Step> first(const Run& run) {
    const auto now = clock::now();
    if (!run.output_taken || last_signal == SIGINT || last_signal == SIGTERM || last_signal == SIGHUP) {
      return Step{SIGKILL, now + after_signal};  // mpirun has been told to end
    }
    // A rank 0 that was asked may take its time; one that cannot be asked does not come any more.
    if (run.requests_to_stop() > std::min(run.asked_to_stop, 1)) {
      const bool can_be_asked = run.requests_to_stop() == 1 || run.asked_to_stop > 0;
      if (!can_be_asked) return Step{end_signal, now};
      return Step{end_signal, now + (run.line.is_left() ? after_rank_0 : after_insisting)};
    }
    if (!run.start.lost().empty()) return Step{end_signal, now + (run.request.outlives_ranks ? no_time : for_launcher)};
    const std::optional<Failure>& failure = run.chatter.failure();
    // An aborted rank wants the others to be ended, which mpirun does not do here; nor does it end what cannot start.
    if (failure && (failure->kind == Failure::Kind::aborted || failure->kind == Failure::Kind::not_started)) {
      return Step{end_signal, now};
    }
    if (run.outcome.outcome()) return Step{end_signal, now + after_outcome};
    if (failure && failure->kind == Failure::Kind::ended_early) return Step{end_signal, now + after_early_end};
    if (failure) return Step{end_signal, now + after_failure};
    return std::nullopt;
  }

  std::optional<Step> next_;
  bool begun_ = false;
};

/// Kills the living descendants of this process, but for `spared` and theirs, and waits a few seconds for their end.
/// This process is a subreaper (PR_SET_CHILD_SUBREAPER): it is given the children of what ended before them.
void kill_descendants(const std::vector<pid_t>& spared) {
  constexpr int tries = 500;  // of 10 ms: what is stuck in the kernel does not end
  for (int i = 0; i < tries; ++i) {
    const std::vector<pid_t> living = base::descendants(spared);
    if (living.empty()) return;
    for (const pid_t process : living) kill(process, SIGKILL);
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    poll(nullptr, 0, 10);
  }
}

/// Where an mpirun keeps its files, which it takes away unless it is killed: some of them it has mapped. Empty where
/// that is not known.
std::filesystem::path files_of(pid_t mpirun) {
  const std::string folder = fmt::format("/pid.{}", mpirun);
  std::ifstream maps{fmt::format("/proc/{}/maps", mpirun)};
  for (std::string line; std::getline(maps, line);) {
    const std::size_t begin = line.find('/');
    const std::size_t end = line.find(folder + '/');
    if (end == std::string::npos || line.find("/ompi.") >= end) continue;
    return line.substr(begin, end + folder.size() - begin);
  }
  return {};
}

void remove_files_of_mpirun(const std::filesystem::path& folder) {
  std::error_code ignored;
  if (folder.empty()) return;
  std::filesystem::remove_all(folder, ignored);
  std::filesystem::remove(folder.parent_path(), ignored);  // where no other run's are in it
}

/// Sees the run to its end, and its launcher to its own. Returns how that ended, as waitpid() tells it. `spared` are
/// children of this process that are not of the run.
int supervise(Run& run, pid_t mpirun, const std::vector<pid_t>& spared) {
  constexpr std::chrono::milliseconds look{50};
  constexpr int last_looks = 20;  // what holds the pipes after the end is not of the run
  Patience patience;
  LeftBehind left_behind{mpirun, spared};
  std::optional<int> status;
  std::filesystem::path files;  // of an mpirun that is killed
  while (!status) {
    run.copy(run.is_silent() ? look / 10 : look);
    run.ask_to_stop();
    if (run.outcome.outcome() && !run.request.stops_without_reader) left_behind.look();  // map ends its own
    if (!run.outcome.outcome() && !patience.has_begun()) run.start.look(mpirun);
    const int signal = patience.signal_now(run);
    if (signal == SIGKILL) files = files_of(mpirun);
    if (signal != 0) kill(mpirun, signal);
    int ended_with = 0;
    for (pid_t ended = 0; (ended = waitpid(-1, &ended_with, WNOHANG)) > 0;) {
      if (ended == mpirun) status = ended_with;
    }
  }
  child_pid = 0;
  const std::string ended = left_behind.finish();
  if (WIFSIGNALED(*status)) run.chatter.pass_over(mpirun, !run.outcome.outcome());
  kill_descendants(spared);
  remove_files_of_mpirun(files);
  for (int i = 0; i < last_looks && !run.is_silent(); ++i) run.copy(look);
  put(ended);
  return *status;
}

/// As in "ranks 1 and 3 ended before MPI had started on all ranks".
std::string why_not_started(const std::vector<int>& lost) {
  std::string text = lost.size() == 1 ? "rank " : "ranks ";
  for (std::size_t i = 0; i < lost.size(); ++i) {
    if (i > 0) text += i + 1 == lost.size() ? " and " : ", ";
    text += std::to_string(lost[i]);
  }
  return text + " ended before MPI had started on all ranks";
}

/// Whose death has ended the run, where the rank that saw it could not say so any more: it was ended too soon, or what
/// it said was dropped. Empty where no rank has died, or one has said why.
std::string why_silent(const Run& run) {
  if (run.chatter.has_reason()) return {};
  if (run.ranks.killed_at_start()) return why_not_started(run.ranks.ended_at_start());
  if (run.request.stops_without_reader) return {};  // map's rank 0 does not say it through the launcher
  for (std::size_t rank = 0; rank < run.ranks.ranks().size(); ++rank) {
    const RankWatch::Rank& one = run.ranks.ranks()[rank];
    if (one.has_ended && !one.exits) return fmt::format("rank {} was lost", rank);
  }
  return {};
}

/// The status that rank 0 told.
int told_status(const Run& run) {
  const int status = *run.outcome.outcome();
  if (const std::string why = status == static_cast<int>(ExitCode::broken) ? why_silent(run) : ""; !why.empty()) {
    put(fmt::format("echelon: {}; the run is lost, {}\n", why, way_out(run.request)));
  }
  return status;
}

int exit_code(int status, const Run& run) {
  if (run.outcome.outcome().value_or(0) != 0) return told_status(run);
  if (const auto& killed = run.killed()) {
    put(fmt::format("echelon: rank {} on {} was killed by signal {} ({}); the run is lost, {}\n", killed->rank,
                    killed->host, killed->signal, killed->signal_name, way_out(run.request)));
    return static_cast<int>(ExitCode::broken);
  }
  // The launcher's end may be that of a rank that it has ended itself, or on request, or a crash of its own (Open MPI
  // 4.1.4, PMIx 4.2.2).
  if (run.outcome.outcome()) return *run.outcome.outcome();
  if (WIFSIGNALED(status) && run.start.lost().empty()) {
    put(fmt::format("echelon: {} was killed by signal {}; the run is lost, {}\n", run.launcher, WTERMSIG(status),
                    way_out(run.request)));
    return static_cast<int>(ExitCode::broken);
  }
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  if (constexpr int of_signals = 128; code > of_signals) {  // which ended a rank before it could be known
    put(fmt::format("echelon: a rank was killed by signal {} ({}); the run is lost, {}\n", code - of_signals,
                    strsignal(code - of_signals), way_out(run.request)));
    return static_cast<int>(ExitCode::broken);
  }
  if (!run.start.lost().empty()) {
    put(fmt::format("echelon: {}; the run is lost, {}\n", why_not_started(run.start.lost()), way_out(run.request)));
    return static_cast<int>(ExitCode::broken);
  }
  for (const ExitCode ours :
       {ExitCode::done, ExitCode::usage, ExitCode::tasks_failed, ExitCode::broken, ExitCode::resumable}) {
    if (code == static_cast<int>(ours)) return code;
  }
  if (code == static_cast<int>(ExitCode::wrong_answer) && run.chatter.rank_failed()) return code;
  put(fmt::format("echelon: {} ended with status {}; the run is lost\n", run.launcher, code));
  return static_cast<int>(ExitCode::broken);
}

/// Why a run that may lose ranks has come to no outcome.
std::string why_lost(int status, const Run& run) {
  if (!run.start.lost().empty()) return why_not_started(run.start.lost());
  const auto& failure = run.chatter.failure();
  if (!failure) {
    if (WIFSIGNALED(status)) return fmt::format("mpirun was killed by signal {}", WTERMSIG(status));
    if (!run.chatter.master_started()) return fmt::format("mpirun ended with status {}", WEXITSTATUS(status));
    return "the master (rank 0) ended without telling an outcome";
  }
  switch (failure->kind) {
    case Failure::Kind::not_started:
      return fmt::format("mpirun could not start {} as rank {}", run.request.program.front(), failure->rank);
    case Failure::Kind::ended_early: return why_not_started({failure->rank});
    case Failure::Kind::master_killed: return "the master (rank 0) was killed by a signal";
    case Failure::Kind::master_ended: return "the master (rank 0) ended without telling an outcome";
    case Failure::Kind::aborted: break;
  }
  return {};  // the rank has said why
}

int exit_code_of_outcome(int status, const Run& run) {
  if (run.outcome.outcome()) return told_status(run);
  if (const std::string why = why_lost(status, run); !why.empty()) {
    put(fmt::format("echelon: {}; the run is lost, {}\n", why, way_out(run.request)));
  }
  return static_cast<int>(ExitCode::broken);
}

}  // namespace

std::uint64_t ranks_for_all(std::uint64_t threads) {
  if (const auto slurm = measure::slurm_allocation()) return slurm->ranks(threads);
  return std::max<std::uint64_t>(measure::usable_cpus() / threads, 1);
}

std::uint64_t nodes_for(std::uint64_t ranks, std::uint64_t threads) {
  const auto slurm = measure::slurm_allocation();
  return slurm ? slurm->nodes_for(ranks, threads) : 1;
}

std::vector<std::string> start_command_here(const Launcher& launcher, std::uint64_t ranks, std::uint64_t threads,
                                            const std::vector<std::string>& variables,
                                            const std::vector<std::string>& program) {
  LaunchPlan plan = plan_here({.ranks = ranks, .threads = threads, .program = program});
  plan.variables = variables;
  return start_command(settled(launcher, plan), plan, program);
}

void let_srun_start_all() {
  if (std::getenv("SLURM_EXPORT_ENV") != nullptr) setenv("SLURM_EXPORT_ENV", "ALL", 1);
  if (std::getenv("SLURM_STEP_ID") != nullptr) setenv("SLURM_OVERLAP", "1", 0);
}

std::string this_executable() {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "/proc/self/exe" : path.string();
}

int launch(const LaunchRequest& request) {
  fill_standard_descriptors();
  const LaunchPlan plan = plan_here(request);
  const Launcher launcher = settled(request.launcher, plan);
  const std::string token = new_token();
  std::vector<std::string> program = request.program;
  if (launcher.kind == Launcher::Kind::custom) {  // of which nobody knows what it hands on to other nodes
    program.insert(program.begin(), {"env", fmt::format("{}={}", launched_variable, token), "OMP_WAIT_POLICY=passive"});
  }
  const std::vector<std::string> command = start_command(launcher, plan, program);
  const std::string users_variables = users_launcher_variables();
  const Pipe output = Pipe::make();
  const Pipe errors = Pipe::make();
  // mpirun reads all of its input, and as soon as it can: what the caller may want to read himself, as in a shell's
  // loop over lines, or what rank 0 is given without it.
  Pipe input{STDIN_FILENO};
  if (!request.reads_input) {
    input.out = open("/dev/null", O_RDONLY | O_CLOEXEC);
  } else if (request.stops_by_itself) {
    input = Pipe::make();
  }
  // A signal has to find a handler once there is something to be left behind, and a child once there is a handler.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &before);
  RunFolder folder;
  folder.make(token, fmt::format("{}={}", launched_variable, token));
  const bool is_mpirun = launcher.kind == Launcher::Kind::mpirun;
  const bool all_here = is_mpirun && !plan.in_allocation;
  RankWatch ranks{static_cast<int>(request.ranks), token, !plan.in_allocation};
  Run run{.request = request,
          .output = output.out,
          .errors = errors.out,
          .outcome = OutcomeReader{token},
          .ranks = ranks,
          .start = StartWatch{ranks, all_here}};
  run.launcher = command.front();
  if (launcher.kind == Launcher::Kind::srun) run.srun.emplace();
  run.mpiruns_input = input.in;
  if (request.stops_by_itself) run.line.listen(folder.path());
  const std::vector<pid_t> spared = base::children();
  // What the launcher leaves behind becomes a child of this process.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  signal(SIGCHLD, SIG_DFL);  // where it is ignored, nobody learns how mpirun ended
  if (request.stops_by_itself) {
    count_stop_signals();
  } else {
    pass_signals_on();
  }
  if (is_mpirun) end_signal = SIGHUP;
  const pid_t starter = getpid();
  const pid_t child = fork();
  if (child > 0) child_pid = child;
  // So that what a terminal sends does not reach it; by both, since nobody knows which of the two comes first.
  if (child >= 0) setpgid(child, child);
  if (child == 0) {
    if (all_here) folder.announce();
    setenv(watch_variable, ranks.place().c_str(), 1);
    if (request.stops_by_itself) {
      setenv(base::user_variables, users_variables.c_str(), 1);
      setenv(starter_variable, run.line.path().c_str(), 1);
    }
    set_signals(is_mpirun, before);
    become(command, token, input.out, output.in, errors.in, starter);
  }
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (child < 0) throw std::runtime_error("cannot start a process");
  close(output.in);
  close(errors.in);
  if (input.out != STDIN_FILENO) close(input.out);
  if (request.stops_without_reader) signal(SIGPIPE, SIG_IGN);  // an end of reading is seen where one writes
  const int status = supervise(run, child, spared);
  folder.remove();
  if (const int ended_by = request.stops_by_itself ? last_stop_signal() : last_signal;
      ended_by != 0 && !run.outcome.outcome()) {
    // Ended on request: say so as any program does, by ending on that signal.
    signal(ended_by, SIG_DFL);
    raise(ended_by);
  }
  if (!run.output_taken) return static_cast<int>(ExitCode::broken);
  if (request.outlives_ranks) return exit_code_of_outcome(status, run);
  return last_signal != 0 ? *run.outcome.outcome() : exit_code(status, run);
}

}  // namespace echelon::launch
