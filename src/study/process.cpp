#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <echelon/base/processes.hpp>
#include <echelon/study/process.hpp>

#include "files.hpp"

namespace echelon::study {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds grace{10};  // mpirun gives its ranks 2 s, echelon -n gives mpirun 5 s

base::Descriptor open_output(const std::string& path) {
  base::Descriptor file{open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
  if (!file.is_open()) throw std::runtime_error(fmt::format("cannot write {}: {}", path, std::strerror(errno)));
  return file;
}

std::vector<std::string> changed_environment(const CommandLine& line) {
  std::vector<std::string> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text{*entry};
    const std::string name = text.substr(0, text.find('='));
    if (std::ranges::find(line.environment, name, &std::pair<std::string, std::string>::first) ==
        line.environment.end()) {
      entries.push_back(text);
    }
  }
  for (const auto& [name, value] : line.environment) entries.push_back(fmt::format("{}={}", name, value));
  return entries;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> found;
  found.reserve(texts.size() + 1);
  for (std::string& text : texts) found.push_back(text.data());
  found.push_back(nullptr);
  return found;
}

/// Why a program cannot be started, as its process tells its parent.
struct StartError {
  int why = 0;
  bool is_folder = false;  ///< it cannot be started in there
};

/// In the child, where only what is safe after fork() may be called. Returns where the program cannot be started.
StartError become(char* const* argv, char* const* envp, const char* folder, int out, int err, const sigset_t& mask,
                  pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(127);  // it died before the line above
  const int input = open("/dev/null", O_RDONLY);
  dup2(input, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  if (*folder != '\0' && chdir(folder) != 0) return {errno, true};
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  execvpe(argv[0], argv, envp);
  return {errno, false};
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/// What has ended is reaped, what has not is killed, until there is nothing. In the usual case a single system call.
void end_what_is_left(const std::vector<pid_t>& spared) {
  constexpr int tries = 2000;  // of 5 ms: what is stuck in the kernel does not end
  for (int i = 0; i < tries; ++i) {
    pid_t reaped = 0;
    while ((reaped = waitpid(-1, nullptr, WNOHANG)) > 0) {
    }
    if (reaped < 0) return;
    const std::vector<pid_t> left = base::descendants(spared);
    if (left.empty()) return;
    for (const pid_t pid : left) kill(pid, SIGKILL);
    poll(nullptr, 0, 5);
  }
}

}  // namespace

StopSignals::StopSignals() : spared_{base::children()} {
  sigemptyset(&signals_);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    struct sigaction action {};
    sigaction(number, nullptr, &action);
    if (action.sa_handler != SIG_IGN) sigaddset(&signals_, number);  // nohup's stays
  }
  signal(SIGCHLD, SIG_DFL);  // where it is ignored, nobody learns how a child ended
  sigaddset(&signals_, SIGCHLD);
  sigprocmask(SIG_BLOCK, &signals_, &before_);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
}

StopSignals::~StopSignals() {
  (void)asked();  // what has come was heard
  sigprocmask(SIG_SETMASK, &before_, nullptr);
}

bool StopSignals::asked() noexcept {
  const timespec now{0, 0};
  for (int number = 0; (number = sigtimedwait(&signals_, nullptr, &now)) > 0;) {
    if (number != SIGCHLD) ++requests_;
  }
  return requests_ > 0;
}

Ending run_process(const CommandLine& line, const std::string& out_file, const std::string& err_file,
                   std::optional<double> most_s, StopSignals& signals, const std::function<void()>& tick) {
  Ending ending;
  const base::Descriptor out = open_output(out_file);
  const base::Descriptor err = open_output(err_file);
  std::vector<std::string> words = line.argv;
  std::vector<std::string> entries = changed_environment(line);
  const std::vector<char*> argv = pointers(words);
  const std::vector<char*> envp = pointers(entries);
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
  const base::Descriptor from_child{ends[0]};
  const pid_t parent = getpid();
  const Clock::time_point begin = Clock::now();
  const pid_t child = fork();
  if (child == 0) {
    const StartError error =
        become(argv.data(), envp.data(), line.folder.c_str(), out.get(), err.get(), signals.before_, parent);
    (void)!write(ends[1], &error, sizeof(error));
    _exit(127);
  }
  close(ends[1]);
  if (child < 0) throw std::runtime_error("cannot start a process");
  setpgid(child, child);  // by both, since nobody knows which of the two comes first
  StartError error;
  ssize_t told = 0;
  while ((told = read(from_child.get(), &error, sizeof(error))) < 0 && errno == EINTR) {
  }
  if (told == sizeof(error)) {
    ending.start_error = fmt::format("cannot {} '{}': {}", error.is_folder ? "enter the folder" : "start",
                                     error.is_folder ? line.folder : line.argv.front(), std::strerror(error.why));
  }

  std::optional<Clock::time_point> kill_at;
  const auto end_group = [&](int number) {
    // `echelon -n` passes it on to mpirun, for which a second one would mean something else.
    const bool leader_only = line.own_workload && number == SIGTERM;
    kill(leader_only ? child : -child, number);
  };
  for (;;) {
    siginfo_t ended{};
    if (waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT | WNOHANG) == 0 && ended.si_pid == child)
      break;
    double patience_s = 1;
    if (kill_at) patience_s = std::chrono::duration<double>(*kill_at - Clock::now()).count();
    if (most_s && !kill_at) patience_s = *most_s - seconds_since(begin);
    const timespec patience{0, static_cast<long>(1e9 * std::clamp(patience_s, 0.001, 0.999))};
    const int number = sigtimedwait(&signals.signals_, nullptr, &patience);
    if (number > 0 && number != SIGCHLD) {
      ++signals.requests_;
      if (!kill_at) end_group(SIGTERM);
      kill_at = kill_at ? Clock::now() : Clock::now() + grace;
    }
    if (most_s && !kill_at && seconds_since(begin) >= *most_s) {
      ending.overran = true;
      end_group(SIGTERM);
      kill_at = Clock::now() + grace;
    }
    if (kill_at && Clock::now() >= *kill_at) end_group(SIGKILL);
    if (number < 0 && tick) tick();
  }
  ending.launch_to_exit_s = seconds_since(begin);
  ending.stopped = signals.requests_ > 0;
  kill(-child, SIGKILL);  // the rest of its group; until it is reaped nobody else can have its number
  int status = 0;
  rusage usage{};
  while (wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  end_what_is_left(signals.spared_);
  if (WIFEXITED(status)) ending.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) ending.signal = WTERMSIG(status);
  if (line.cpu_is_known) ending.cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  return ending;
}

}  // namespace echelon::study
