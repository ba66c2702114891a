#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/base/launcher_variables.hpp>
#include <echelon/base/processes.hpp>
#include <echelon/launch/launcher.hpp>
#include <echelon/launch/launchers_here.hpp>
#include <echelon/launch/rank_report.hpp>
#include <echelon/launch/starter.hpp>
#include <echelon/launch/stop_requests.hpp>
#include <echelon/measure/machine.hpp>

#include "ending.hpp"
#include "launcher_process.hpp"
#include "line.hpp"
#include "rank_watch.hpp"
#include "run.hpp"
#include "run_folder.hpp"
#include "start_watch.hpp"
#include "stop_signals.hpp"
#include "way_out.hpp"

namespace echelon::launch {
namespace {

using base::ExitCode;

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
      .open_mpi_major = built_major(),
  };
  if (request.outlives_ranks) plan.variables.emplace_back(outlives_variable);
  if (is_set(grace_variable)) plan.variables.emplace_back(grace_variable);
  return plan;
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

/// A standard descriptor that is closed would be given to the next pipe; so it still fails, and no pipe is in its
/// place.
void fill_standard_descriptors() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) < 0) (void)open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

/// Launchers do not always say so, and some wait for a rank that cannot begin.
std::string why_not_runnable(const std::string& program) {
  if (access(program.c_str(), X_OK) == 0) return {};
  return fmt::format("cannot run {}: {}", program, std::strerror(errno));
}

std::string new_token() {
  constexpr std::size_t bytes = 16;
  std::array<unsigned char, bytes> random{};
  if (getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) {
    throw std::runtime_error("the system has no random numbers");
  }
  std::string token;
  for (const unsigned char byte : random) token += fmt::format("{:02x}", byte);
  return token;
}

/// For the launcher and its ranks.
void set_launchers_environment() {
  let_srun_start_all();
  // A rank's OpenMP threads sleep between loops, rather than spin on CPUs that other ranks may need: two ranks of two
  // threads each on two CPUs took some hundred times as long.
  setenv("OMP_WAIT_POLICY", "passive", 0);
  // Open MPI refuses root otherwise; in containers and CI root is all there is.
  if (geteuid() == 0) {
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  }
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
  const Launcher settled_launcher = settled(launcher, plan);
  if (settled_launcher.kind == Launcher::Kind::mpirun && mpirun_major() > 0) plan.open_mpi_major = mpirun_major();
  return start_command(settled_launcher, plan, program);
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
  const bool is_mpirun = launcher.kind == Launcher::Kind::mpirun;
  const bool all_here = is_mpirun && !plan.in_allocation;
  const std::string token = new_token();
  RankWatch ranks{static_cast<int>(request.ranks), token, !plan.in_allocation};
  std::vector<std::string> program = request.program;
  if (launcher.kind == Launcher::Kind::custom) {  // of which nobody knows what it hands on to other nodes
    program.insert(program.begin(), {"env", fmt::format("{}={}", launched_variable, token),
                                     fmt::format("{}={}", watch_variable, ranks.place()), "OMP_WAIT_POLICY=passive"});
  }
  const std::vector<std::string> command = start_command(launcher, plan, program);
  const std::string users_variables = users_launcher_variables();
  const Pipe output = Pipe::make();
  const Pipe errors = Pipe::make();
  // mpirun reads all of its input, and as soon as it can: what the caller may want to read himself, as in a shell's
  // loop over lines, or what rank 0 is given without it. From a file Open MPI 5.0.7 hands some of it on twice.
  Pipe input;
  if (!request.reads_input) {
    input.out = open("/dev/null", O_RDONLY | O_CLOEXEC);
  } else {
    input = Pipe::make();
  }
  // A signal has to find a handler once there is something to be left behind, and a child once there is a handler.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &before);
  RunFolder folder;
  folder.make(token, fmt::format("{}={}", launched_variable, token));
  Line line;
  if (request.stops_by_itself) line.listen(folder.path());
  Run run{request, ranks, StartWatch{ranks, all_here}, line};
  const std::vector<pid_t> spared = base::children();
  // What the launcher leaves behind becomes a child of this process.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  signal(SIGCHLD, SIG_DFL);  // if it is ignored, nobody learns how the launcher ended
  if (request.stops_by_itself) {
    count_stop_signals();
  } else {
    pass_signals_on();
  }
  const auto set_environment = [&] {
    setenv(launched_variable, token.c_str(), 1);
    setenv(watch_variable, ranks.place().c_str(), 1);
    setenv(outlives_variable, request.outlives_ranks ? "1" : "0", 1);
    setenv(direct_variable, all_here ? "1" : "0", 1);
    if (all_here) folder.announce();
    if (request.stops_by_itself) {
      setenv(base::user_variables, users_variables.c_str(), 1);
      setenv(starter_variable, line.path().c_str(), 1);
    }
    set_launchers_environment();
  };
  std::string why_not = is_mpirun ? why_mpirun_differs() : "";
  if (why_not.empty() && all_here) why_not = why_not_runnable(request.program.front());
  if (!why_not.empty()) {
    sigprocmask(SIG_SETMASK, &before, nullptr);
    print_error(fmt::format("echelon: {}\n", why_not));
    return static_cast<int>(ExitCode::broken);
  }
  const pid_t process = start_launcher({.words = command,
                                        .set_environment = set_environment,
                                        .is_mpirun = is_mpirun,
                                        .input = input.out,
                                        .output = output.in,
                                        .errors = errors.in},
                                       before);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  close(output.in);
  close(errors.in);
  close(input.out);
  if (request.stops_without_reader) signal(SIGPIPE, SIG_IGN);  // an end of reading is seen where one writes
  run.begin(process, output.out, errors.out, input.in);
  const LauncherEnd end = run.supervise(command.front(), spared);
  folder.remove();
  if (const int ended_by = request.stops_by_itself ? last_stop_signal() : last_passed_signal();
      ended_by != 0 && !ranks.outcome()) {
    // Ended on request: say so as any program does, by ending on that signal.
    signal(ended_by, SIG_DFL);
    raise(ended_by);
  }
  if (!run.is_output_taken()) return static_cast<int>(ExitCode::broken);
  for (const std::string& reason : ranks.reasons()) print_error(fmt::format("echelon: {}\n", reason));
  const Ending ending = ending_of(request, ranks, end);
  if (!ending.why.empty()) {
    print_error(fmt::format("echelon: {}; the run is lost, {}\n", ending.why, way_out(request)));
  }
  return ending.status;
}

}  // namespace echelon::launch
