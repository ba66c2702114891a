#include "helper_process.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <unordered_map>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <echelon/base/local_socket.hpp>
#include <echelon/base/processes.hpp>
#include <echelon/base/time.hpp>

#include "capture.hpp"

namespace echelon::command::detail {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

/// The longest argument that Linux takes, with its NUL (MAX_ARG_STRLEN, 32 pages).
constexpr std::size_t longest_argument = 131072;

int cannot_run(int error) { return error == ENOENT ? 127 : 126; }

/// Becomes the program, in a child that borrows this process's memory until it does; where it cannot, `error` says why.
[[gnu::noinline]] pid_t spawn(const char* path, char* const* argv, char* const* environment, int nothing, int output,
                              int errors, volatile int* error) {
  const pid_t parent = getpid();
  const pid_t child = vfork();
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // whatever becomes of this helper
  if (getppid() == parent) {
    setpgid(0, 0);
    dup2(nothing, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execve(path, argv, environment);
    *error = errno;
  }
  _exit(127);
}

/// A running command.
struct Running {
  pid_t first;  // process, whose end is the command's
  Clock::time_point began;
  std::chrono::nanoseconds limit{0};  // 0: none
  bool first_ended = false;
  std::optional<Clock::time_point> kill_at{};  // it has been told to end
  std::optional<Clock::time_point> killed_since{};
  Report report{};
  Capture printed;
};

class Process {
 public:
  Process(int socket, const std::vector<std::string>& environment) : socket_{socket}, environment_{environment} {
    nothing_ = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    signals_ = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    for (const std::string& variable : environment_) {
      if (variable.starts_with("PATH=")) path_ = variable.substr(5);
    }
  }

  /// Until the other end is closed.
  void run() {
    for (;;) {
      std::array<pollfd, 4> ready{{{socket_, POLLIN, 0}, {signals_, POLLIN, 0}, {-1, 0, 0}, {-1, 0, 0}}};
      if (running_) std::ranges::copy(running_->printed.waits_for(), &ready[2]);
      poll(ready.data(), ready.size(), milliseconds_to_wait());
      if (running_ && (ready[2].revents | ready[3].revents) != 0) running_->printed.take();
      if (ready[1].revents != 0) {
        signalfd_siginfo information{};
        while (read(signals_, &information, sizeof(information)) > 0) {
        }
      }
      if (running_) look_after();
      if (ready[0].revents != 0 && !take_message()) break;
    }
    kill_descendants();
  }

 private:
  [[nodiscard]] int milliseconds_to_wait() const {
    if (!running_) return -1;
    std::optional<Clock::time_point> next = running_->kill_at;
    if (!next && running_->limit > 0ns) next = running_->began + running_->limit;
    if (!next) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
  }

  bool take_message() {
    Head head;
    std::array<int, 2> descriptors{-1, -1};
    if (!base::receive_all(socket_, &head, sizeof(head), descriptors)) return false;
    switch (head.kind) {
      case Kind::start: {
        std::array<base::Descriptor, 2> files{base::Descriptor{descriptors[0]}, base::Descriptor{descriptors[1]}};
        std::string text(head.bytes, '\0');
        if (!base::receive_all(socket_, text.data(), text.size())) return false;
        start(head, text, std::move(files));
        break;
      }
      case Kind::set_limit:
        if (running_) running_->limit = std::chrono::nanoseconds{head.limit_ns};
        break;
      case Kind::end:
        if (!running_ || running_->kill_at) break;
        running_->report.ended_on_request = true;
        tell_to_end();
        break;
    }
    return true;
  }

  void start(const Head& head, std::string& text, std::array<base::Descriptor, 2> files) {
    std::vector<char*> pieces;
    for (std::size_t at = 0; at < text.size(); at += std::strlen(text.data() + at) + 1) pieces.push_back(&text[at]);
    const std::size_t variables_at = std::max<std::size_t>(head.words, 1);
    std::vector<char*> environment;
    environment.reserve(environment_.size() + head.variables + 1);
    for (std::string& variable : environment_) environment.push_back(variable.data());
    for (std::size_t i = variables_at; i < pieces.size(); ++i) environment.push_back(pieces[i]);
    environment.push_back(nullptr);
    pieces.resize(variables_at);

    Running next{.first = -1,
                 .began = Clock::now(),
                 .limit = std::chrono::nanoseconds{head.limit_ns},
                 .printed = Capture{std::move(files)}};
    next.report.started_at = base::seconds_since_1970();
    if (next.printed.error() != 0) {
      next.report.exit_code = cannot_run(next.printed.error());
      return report(next);
    }
    int error = 0;
    if (head.words > 0) {
      next.first = start_program(pieces, environment, next.printed.ends(), error);
    } else {
      next.first = start_shell(pieces.front(), environment, next.printed.ends(), error);
    }
    if (error == 0) {
      running_.emplace(std::move(next));
      return;
    }
    next.printed.say(std::string{"echelon: cannot run "} +
                     (head.words > 0 ? std::string_view{pieces.front()} : "/bin/sh").data() + ": " +
                     std::strerror(error) + "\n");
    next.report.start_error = error;
    next.report.exit_code = cannot_run(error);
    report(next);
  }

  pid_t start_program(std::vector<char*>& words, const std::vector<char*>& environment, std::array<int, 2> descriptors,
                      int& error) {
    const std::string name = words.front();
    words.push_back(nullptr);
    pid_t child = -1;
    for (int attempt = 0; attempt < 2; ++attempt) {
      error = 0;
      const std::string* const path = find(name);
      if (path == nullptr) {
        error = ENOENT;
        return -1;
      }
      child = try_program(path->c_str(), words.data(), environment, descriptors, error);
      if (error == ENOEXEC) {  // a script without a first line that says of what: of the shell, as execvp() has it
        std::string file = *path;
        std::string shell = "sh";
        std::vector<char*> script{shell.data(), file.data()};
        script.insert(script.end(), words.begin() + 1, words.end());
        return try_program("/bin/sh", script.data(), environment, descriptors, error);
      }
      if (error != ENOENT || name.find('/') != std::string::npos) break;
      found_.erase(name);  // it has moved since
    }
    return child;
  }

  pid_t start_shell(char* line, const std::vector<char*>& environment, std::array<int, 2> descriptors, int& error) {
    std::string shell = "sh";
    std::string option = "-c";
    std::vector<char*> words{shell.data(), option.data(), line, nullptr};
    int script = -1;
    std::string file;
    if (std::strlen(line) >= longest_argument) {
      script = memfd_create("echelon-command", 0);  // stays open in the shell, which reads it
      const std::size_t size = std::strlen(line);
      if (script < 0 || pwrite(script, line, size, 0) != static_cast<ssize_t>(size)) {
        error = E2BIG;
        if (script >= 0) close(script);
        return -1;
      }
      file = "/dev/fd/" + std::to_string(script);
      words = {shell.data(), file.data(), nullptr};
    }
    const pid_t child = try_program("/bin/sh", words.data(), environment, descriptors, error);
    if (script >= 0) close(script);
    return child;
  }

  pid_t try_program(const char* path, char* const* words, const std::vector<char*>& environment,
                    std::array<int, 2> descriptors, int& error) const {
    volatile int failed = 0;
    const pid_t child = spawn(path, words, environment.data(), nothing_, descriptors[0], descriptors[1], &failed);
    error = child < 0 ? errno : failed;
    if (child > 0 && failed != 0) {
      waitpid(child, nullptr, 0);
      return -1;
    }
    return child;
  }

  /// Where the program of that name is; nullptr: nowhere.
  const std::string* find(const std::string& name) {
    if (const auto known = found_.find(name); known != found_.end()) return &known->second;
    if (name.find('/') != std::string::npos) return &(found_[name] = name);
    for (std::size_t at = 0; at <= path_.size();) {
      const std::size_t end = std::min(path_.find(':', at), path_.size());
      std::string candidate = end == at ? name : path_.substr(at, end - at) + '/' + name;
      if (access(candidate.c_str(), X_OK) == 0) return &(found_[name] = std::move(candidate));
      at = end + 1;
    }
    return nullptr;
  }

  /// What is left of the command, and its end.
  void look_after() {
    Running& r = *running_;
    const auto now = Clock::now();
    int status = 0;
    rusage used{};
    pid_t ended = 0;
    while ((ended = wait4(-1, &status, WNOHANG, &used)) > 0) {
      const auto time = [](const timeval& t) {
        return std::chrono::seconds{t.tv_sec} + std::chrono::microseconds{t.tv_usec};
      };
      r.report.cpu += time(used.ru_utime) + time(used.ru_stime);
      r.report.max_rss_bytes = std::max(r.report.max_rss_bytes, static_cast<std::uint64_t>(used.ru_maxrss) * 1024);
      if (ended != r.first) continue;
      r.first_ended = true;
      r.report.wall = now - r.began;
      if (WIFSIGNALED(status)) r.report.signal = WTERMSIG(status);
      if (WIFEXITED(status)) r.report.exit_code = WEXITSTATUS(status);
    }
    const bool nothing_left = ended < 0 && errno == ECHILD;
    const bool hopeless = r.killed_since && now - *r.killed_since > longest_killing;
    if (r.first_ended && (nothing_left || hopeless)) {
      r.printed.finish();
      const Running last = std::move(*std::exchange(running_, std::nullopt));
      report(last);
      return;
    }
    if (r.kill_at) {
      if (now < *r.kill_at) return;
      if (!r.killed_since) r.killed_since = now;
      signal_all(SIGKILL);
      r.kill_at = now + between_kills;
    } else if (r.first_ended || r.printed.error() != 0) {  // what it prints is not kept: it would be run again
      tell_to_end();
    } else if (r.limit > 0ns && now - r.began >= r.limit) {
      r.report.timed_out = true;
      tell_to_end();
    }
  }

  void tell_to_end() {
    signal_all(SIGTERM);
    running_->kill_at = Clock::now() + Helper::patience;
  }

  /// The command's process group, and whoever has left it: orphans become children of this process.
  void signal_all(int signal) const {
    if (!running_->first_ended) kill(-running_->first, signal);
    for (const pid_t process : base::descendants()) kill(process, signal);
  }

  void report(const Running& last) const {
    const Capture& printed = last.printed;
    const bool has_text = !printed.is_in_files() && printed.error() == 0;
    Answer answer{last.report, has_text ? printed.bytes(0) : 0, has_text ? printed.bytes(1) : 0,
                  printed.errors_end().size()};
    answer.report.write_error = printed.error();
    answer.report.is_in_files = printed.is_in_files();
    answer.report.output_bytes = printed.bytes(0);
    answer.report.errors_bytes = printed.bytes(1);
    std::string all{reinterpret_cast<const char*>(&answer), sizeof(answer)};
    if (has_text) all += printed.text(0) + printed.text(1);
    all += printed.errors_end();
    (void)base::send_all(socket_, all.data(), all.size());
  }

  int socket_;
  std::vector<std::string> environment_;
  std::string path_ = "/usr/local/bin:/usr/bin:/bin";
  std::unordered_map<std::string, std::string> found_;  // programs by name
  int nothing_ = -1;
  int signals_ = -1;
  std::optional<Running> running_;
};

}  // namespace

void settle_down(const char* name, int socket) {
  setpgid(0, 0);  // who signals the rank's group, as mpirun does, leaves it to end its commands
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  prctl(PR_SET_NAME, name);
  if (socket > 3) close_range(3, static_cast<unsigned>(socket) - 1, 0);
  close_range(static_cast<unsigned>(socket) + 1, ~0U, 0);
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int standard = 0; standard < 3; ++standard) dup2(nothing, standard);
  close(nothing);
  signal(SIGPIPE, SIG_DFL);
  signal(SIGCHLD, SIG_DFL);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);  // what is meant for the rank is not meant for its commands
}

void kill_descendants() {
  const auto since = Clock::now();
  while (Clock::now() - since < longest_killing) {
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    const std::vector<pid_t> left = base::descendants();
    if (left.empty()) return;
    for (const pid_t process : left) kill(process, SIGKILL);
    poll(nullptr, 0, static_cast<int>(between_kills.count()));
  }
}

void serve(int socket, const std::vector<std::string>& environment) {
  settle_down("echelon-helper", socket);
  // Where memory runs out, a command goes before a rank does.
  if (const int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); score >= 0) {
    (void)!write(score, "500", 3);
    close(score);
  }
  try {
    Process{socket, environment}.run();
  } catch (...) {  // no memory: whoever waits notices that this process is gone
    _exit(1);
  }
  _exit(0);
}

void guard(int socket, const std::vector<std::string>& environment) {
  settle_down("echelon-guard", socket);
  const pid_t self = getpid();
  for (char byte = 0; base::receive_all(socket, &byte, 1);) {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) break;
    const pid_t runner = fork();
    if (runner == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != self) _exit(1);
      serve(ends[1], environment);
    }
    close(ends[1]);
    const bool told = runner > 0 && base::send_all(socket, &byte, 1, {&ends[0], 1});
    close(ends[0]);
    if (!told) break;
    int status = 0;
    for (pid_t ended = 0; ended != runner;) {
      ended = waitpid(-1, &status, 0);
      if (ended < 0 && errno != EINTR) break;
    }
    kill_descendants();  // it did so itself, unless it was killed
  }
  kill_descendants();
  _exit(0);
}

}  // namespace echelon::command::detail
