#include "run.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <span>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher_process.hpp"
#include "left_behind.hpp"
#include "stop_signals.hpp"

namespace echelon::launch {
namespace {

/// Reads once from `pipe`, which it closes and forgets at its end.
std::string_view read_some(int& pipe, std::span<char> buffer) {
  const ssize_t size = read(pipe, buffer.data(), buffer.size());
  if (size > 0) return {buffer.data(), static_cast<std::size_t>(size)};
  if (size < 0 && errno == EINTR) return {};
  close(pipe);
  pipe = -1;
  return {};
}

/// A child that has not been waited for.
bool was_killed(pid_t child) {
  siginfo_t end{};
  if (waitid(P_PID, static_cast<id_t>(child), &end, WEXITED | WNOHANG | WNOWAIT) != 0) return false;
  return end.si_pid == child && end.si_code != CLD_EXITED;
}

}  // namespace

Pipe Pipe::make() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
  return {ends[0], ends[1]};
}

void print_error(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

Run::Run(const LaunchRequest& request, RankWatch& ranks, StartWatch start, Line& line)
    : request_{request}, ranks_{ranks}, start_{std::move(start)}, line_{line} {}

void Run::begin(pid_t launcher, int output, int errors, int input) {
  launcher_ = launcher;
  output_ = output;
  errors_ = errors;
  launchers_input_ = input;
}

int Run::requests_to_stop() const {
  return request_.stops_by_itself ? std::max(counted_stop_signals(), reader_gone_ ? 1 : 0) : 0;
}

/// Gives rank 0, which has come, what this process has.
void Run::meet_rank_0() {
  const int mine = request_.reads_input ? STDIN_FILENO : open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (isatty(mine) == 0) {
    line_.hand_over({mine, STDOUT_FILENO, STDERR_FILENO}, request_.files);
  } else {
    // Only the terminal's foreground processes may read it, of which rank 0 is none.
    const Pipe pipe = Pipe::make();
    line_.hand_over({pipe.out, STDOUT_FILENO, STDERR_FILENO}, request_.files);
    close(pipe.out);
    input_.start(pipe.in);
  }
  if (mine != STDIN_FILENO) close(mine);
  if (launchers_input_ >= 0) close(std::exchange(launchers_input_, -1));
}

/// Hands on the requests to stop, as soon as rank 0 can take them.
void Run::ask_to_stop() {
  for (; asked_to_stop_ < requests_to_stop(); ++asked_to_stop_) {
    if (line_.is_open()) {
      line_.ask_to_stop(last_stop_signal());
    } else if (ranks_.is_out_of_reach()) {
      ranks_.ask_to_stop(last_stop_signal());
    } else {
      return;
    }
  }
}

/// Hands on what the ranks print and read, after waiting for it.
void Run::copy(std::chrono::milliseconds patience) {
  // poll() passes over what is -1.
  std::array<pollfd, 5> pipes{{{output_, POLLIN, 0},
                               {errors_, POLLIN, 0},
                               {line_.listener(), POLLIN, 0},
                               input_.waits_for(),
                               {ranks_.descriptor(), POLLIN, 0}}};
  if (poll(pipes.data(), pipes.size(), static_cast<int>(patience.count())) < 0) return;  // a signal
  if (pipes[0].revents != 0) copy_output();
  if (pipes[1].revents != 0) copy_errors();
  if (pipes[2].revents != 0) meet_rank_0();
  if (pipes[3].revents != 0) input_.step();
  if (pipes[4].revents != 0) ranks_.step();
  const bool is_for_launcher = ranks_.is_out_of_reach() || !request_.stops_by_itself;
  if (is_for_launcher && launchers_input_ >= 0) input_.start(std::exchange(launchers_input_, -1));
}

void Run::copy_output() {
  std::array<char, 65536> buffer{};
  std::string_view text = read_some(output_, buffer);
  while (output_taken_ && !reader_gone_ && !text.empty()) {
    const ssize_t size = write(STDOUT_FILENO, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EPIPE && request_.stops_without_reader) {
      reader_gone_ = true;  // as in `| head`: no failure
    } else if (size < 0) {
      output_taken_ = false;
      print_error(fmt::format("echelon: cannot write standard output: {}\n", std::strerror(errno)));
      signal_launcher(end_signal());
    } else {
      text.remove_prefix(static_cast<std::size_t>(size));
    }
  }
}

void Run::copy_errors() {
  std::array<char, 65536> buffer{};
  const std::string_view text = read_some(errors_, buffer);
  ranks_.step();  // after reading: a rank's connection closes before its launcher can say something of its end
  if (ranks_.have_started()) chatter_.note_start();
  const bool has_outcome = ranks_.outcome().has_value();
  if (ranks_.killed_at_start() || was_killed(launcher_)) chatter_.pass_over(launcher_, !has_outcome);
  if (has_outcome || (!request_.outlives_ranks && ranks_.first_killed())) chatter_.pass_over(launcher_);
  print_error(chatter_.feed(text));
  if (errors_ < 0) print_error(chatter_.finish());
}

RunState Run::state() const {
  return {.is_told_to_end = !output_taken_ || is_told_to_end(),
          .requests_to_stop = requests_to_stop(),
          .asked_to_stop = asked_to_stop_,
          .line_is_left = line_.is_left(),
          .start_failed = !start_.lost().empty(),
          .outlives_ranks = request_.outlives_ranks,
          .is_aborted = ranks_.abort().has_value(),
          .has_outcome = ranks_.outcome().has_value(),
          .master_has_ended = ranks_.ranks().front().has_ended};
}

LauncherEnd Run::supervise(std::string launcher_name, const std::vector<pid_t>& spared) {
  constexpr std::chrono::milliseconds look{50};
  constexpr int last_looks = 20;  // what holds the pipes after the end is not of the run
  Patience patience;
  LeftBehind left_behind{launcher_, spared};
  std::optional<int> status;
  bool is_first = false;        // the launcher, to end
  std::filesystem::path files;  // of a launcher that is killed
  while (!status) {
    copy(is_silent() ? look / 10 : look);
    ask_to_stop();
    if (ranks_.outcome() && !request_.stops_without_reader) left_behind.look();  // map ends its own
    if (!ranks_.outcome() && !patience.has_begun()) start_.look(launcher_);
    const int signal = patience.signal_now(state(), end_signal());
    if (signal == SIGKILL) files = files_of_mpirun(launcher_);
    if (signal != 0) signal_launcher(signal);
    int ended_with = 0;
    for (pid_t ended = 0; (ended = waitpid(-1, &ended_with, WNOHANG)) > 0;) {
      if (ended != launcher_) continue;
      status = ended_with;
      is_first = !ranks_.first_killed();
    }
  }
  forget_launcher();
  const std::string ended = left_behind.finish();
  if (WIFSIGNALED(*status)) chatter_.pass_over(launcher_, !ranks_.outcome());
  end_descendants(spared);
  remove_files_of_mpirun(files);
  for (int i = 0; i < last_looks && !is_silent(); ++i) copy(look);
  ranks_.step();
  print_error(ended);
  return {.name = std::move(launcher_name),
          .status = *status,
          .was_first = is_first,
          .was_signaled = patience.has_begun(),
          .never_started = start_.lost()};
}

}  // namespace echelon::launch
