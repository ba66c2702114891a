#pragma once

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace echelon::test {

/// Looks until `holds` is true; false where it is not within `limit`.
[[nodiscard]] inline bool wait_until(const std::function<bool()>& holds,
                                     std::chrono::steady_clock::duration limit = std::chrono::seconds{30}) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    poll(nullptr, 0, 5);
  }
  return true;
}

/// A process as /proc shows it.
struct Process {
  pid_t pid = 0;
  pid_t parent = 0;
  char state = '?';
  double cpu_s = 0;
};

/// Nothing where the process is gone.
[[nodiscard]] inline std::optional<Process> look_at(pid_t pid) {
  std::ifstream in{"/proc/" + std::to_string(pid) + "/stat"};
  std::string line;
  if (!std::getline(in, line)) return std::nullopt;
  // "pid (name) state parent ...", where the name may hold anything.
  std::istringstream fields{line.substr(line.rfind(')') + 1)};
  Process process{.pid = pid};
  fields >> process.state >> process.parent;
  std::string skipped;
  for (int i = 0; i < 9; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  process.cpu_s = (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
  return process;
}

/// The living descendants of a process.
[[nodiscard]] inline std::vector<Process> descendants(pid_t ancestor) {
  std::multimap<pid_t, Process> children;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc"}) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (const auto process = look_at(std::stoi(name))) children.emplace(process->parent, *process);
  }
  std::vector<Process> found;
  std::vector<pid_t> parents{ancestor};
  while (!parents.empty()) {
    const auto [begin, end] = children.equal_range(parents.back());
    parents.pop_back();
    for (auto child = begin; child != end; ++child) {
      parents.push_back(child->second.pid);
      if (child->second.state != 'Z') found.push_back(child->second);
    }
  }
  return found;
}

/// A variable of a running process's environment.
[[nodiscard]] inline std::optional<std::string> variable_of(pid_t pid, std::string_view name) {
  std::ifstream in{"/proc/" + std::to_string(pid) + "/environ"};
  for (std::string entry; std::getline(in, entry, '\0');) {
    if (entry.starts_with(name) && entry.size() > name.size() && entry[name.size()] == '=') {
      return entry.substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

struct RunOptions {
  /// Changes to this process's environment; nothing removes a variable.
  std::map<std::string, std::optional<std::string>> environment = {};
  std::filesystem::path folder = {};
  /// What standard input is; empty without.
  std::string input_file = {};
  /// Where standard output goes instead of into Outcome::out.
  std::string output_file = {};
  /// After which everything that was started is killed, and the test fails.
  std::chrono::seconds limit{60};
};

/// How a program ended.
struct Outcome {
  std::optional<int> exit_code;  ///< nothing: it did not exit by itself
  int signal = 0;                ///< that ended it
  std::string out;
  std::string err;
};

inline std::ostream& operator<<(std::ostream& stream, const Outcome& outcome) {
  stream << "exit code ";
  outcome.exit_code ? stream << *outcome.exit_code : stream << "none";
  return stream << ", signal " << outcome.signal << "\nout: " << outcome.out << "\nerr: " << outcome.err;
}

/// A command (found by PATH) with its arguments, started without a shell in a process group of its own.
class RunningProgram {
 public:
  /// All that this process has ever started.
  static std::set<pid_t>& started() {
    static std::set<pid_t> pids;
    return pids;
  }

  RunningProgram(const std::vector<std::string>& command, RunOptions options) : options_{std::move(options)} {
    // What loses its parent becomes a child of this process, so that nothing that is left over stays unseen.
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    std::vector<std::string> environment = changed_environment();
    std::vector<char*> argv = pointers(command);
    std::vector<char*> envp = pointers(environment);
    std::array<int, 2> out{};
    std::array<int, 2> err{};
    if (pipe2(out.data(), O_CLOEXEC) != 0 || pipe2(err.data(), O_CLOEXEC) != 0) throw_errno("pipe2");
    pid_ = fork();
    if (pid_ < 0) throw_errno("fork");
    if (pid_ == 0) {
      setpgid(0, 0);
      const int input = open(options_.input_file.empty() ? "/dev/null" : options_.input_file.c_str(), O_RDONLY);
      const int output = options_.output_file.empty() ? out[1] : open(options_.output_file.c_str(), O_WRONLY);
      if (input < 0 || output < 0 || (!options_.folder.empty() && chdir(options_.folder.c_str()) != 0)) _exit(126);
      dup2(input, STDIN_FILENO);
      dup2(output, STDOUT_FILENO);
      dup2(err[1], STDERR_FILENO);
      execvpe(argv[0], argv.data(), envp.data());
      _exit(127);
    }
    started().insert(pid_);
    setpgid(pid_, pid_);  // also here: nobody knows which of the two comes first
    close(out[1]);
    close(err[1]);
    pipes_ = {{{out[0], POLLIN, 0}, {err[0], POLLIN, 0}}};
  }

  ~RunningProgram() {
    if (!ended_) kill_all();
    for (const pollfd& pipe : pipes_) {
      if (pipe.fd >= 0) close(pipe.fd);
    }
  }
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  /// Until standard error holds `text`; false where the program ends, or the time limit, before.
  [[nodiscard]] bool wait_for_error_text(std::string_view text) { return wait_for_error_text(text, options_.limit); }
  [[nodiscard]] bool wait_for_error_text(std::string_view text, std::chrono::milliseconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (outcome_.err.find(text) == std::string::npos) {
      if (pipes_[1].fd < 0 || std::chrono::steady_clock::now() > end) return false;
      poll(pipes_.data(), pipes_.size(), 50);
      read_from(pipes_[0], outcome_.out);
      read_from(pipes_[1], outcome_.err);
    }
    return true;
  }

  /// Until it has ended, and all that it started have closed its output; fails the test where that takes too long.
  [[nodiscard]] Outcome wait() {
    const auto end = std::chrono::steady_clock::now() + options_.limit;
    while (!ended_ || pipes_[0].fd >= 0 || pipes_[1].fd >= 0) {
      if (std::chrono::steady_clock::now() > end) {
        ADD_FAILURE() << (ended_ ? "the program has ended, but something that it started goes on"
                                 : "the program has not ended")
                      << " after " << options_.limit.count() << " s\nout: " << outcome_.out
                      << "\nerr: " << outcome_.err;
        kill_all();
        break;
      }
      poll(pipes_.data(), pipes_.size(), ended_ ? 50 : 5);
      read_from(pipes_[0], outcome_.out);
      read_from(pipes_[1], outcome_.err);
      reap(WNOHANG);
    }
    return outcome_;
  }

 private:
  [[noreturn]] static void throw_errno(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
  }

  static std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> result;
    for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
    result.push_back(nullptr);
    return result;
  }

  std::vector<std::string> changed_environment() const {
    std::vector<std::string> result;
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string text{*entry};
      if (!options_.environment.contains(text.substr(0, text.find('=')))) result.push_back(text);
    }
    for (const auto& [name, value] : options_.environment) {
      if (value) result.push_back(name + "=" + *value);
    }
    return result;
  }

  static void read_from(pollfd& pipe, std::string& text) {
    if (pipe.fd < 0 || pipe.revents == 0) return;
    std::array<char, 65536> buffer{};
    const ssize_t size = read(pipe.fd, buffer.data(), buffer.size());
    if (size > 0) {
      text.append(buffer.data(), static_cast<std::size_t>(size));
    } else if (size == 0 || errno != EINTR) {
      close(pipe.fd);
      pipe.fd = -1;
    }
  }

  void reap(int flags) {
    int status = 0;
    if (ended_ || waitpid(pid_, &status, flags) != pid_) return;
    ended_ = true;
    if (WIFEXITED(status)) outcome_.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) outcome_.signal = WTERMSIG(status);
  }

  /// mpirun gives each rank a process group of its own, so the descendants are killed one by one as well.
  void kill_all() {
    kill(-pid_, SIGKILL);
    (void)wait_until([] {
      const std::vector<Process> left = descendants(getpid());
      for (const Process& process : left) kill(process.pid, SIGKILL);
      return left.empty();
    });
    reap(WNOHANG);
  }

  RunOptions options_;
  pid_t pid_ = -1;
  std::array<pollfd, 2> pipes_{};
  Outcome outcome_;
  bool ended_ = false;
};

[[nodiscard]] inline Outcome run_program(const std::vector<std::string>& command, RunOptions options = {}) {
  RunningProgram program{command, std::move(options)};
  return program.wait();
}

}  // namespace echelon::test
