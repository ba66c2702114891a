#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <utility>

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <echelon/base/processes.hpp>
#include <echelon/base/local_socket.hpp>
#include <echelon/command/helper.hpp>
#include <echelon/command/words.hpp>

#include "helper_process.hpp"

namespace echelon::command {
namespace {

using detail::Head;
using detail::Kind;

void append(std::string& text, std::string_view piece) {
  text += piece;
  text += '\0';
}

}  // namespace

Helper::Helper(std::vector<std::string> environment) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw std::runtime_error(std::string{"cannot make a socket: "} + std::strerror(errno));
  }
  prctl(PR_SET_CHILD_SUBREAPER, 1);  // of orphans, should the helper be killed
  pid_ = fork();
  if (pid_ < 0) {
    close(ends[0]);
    close(ends[1]);
    throw std::runtime_error(std::string{"cannot start a process: "} + std::strerror(errno));
  }
  if (pid_ == 0) {
    close(ends[0]);
    detail::serve(ends[1], std::move(environment));
  }
  close(ends[1]);
  socket_ = ends[0];
}

/// What the helper was running has become this process's own, and is ended.
void Helper::has_gone() const {
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  constexpr int rounds = 100;  // of 10 ms, for what does not die at once
  for (int round = 0; round < rounds; ++round) {
    const std::vector<pid_t> left = base::descendants();
    if (left.empty()) break;
    for (const pid_t process : left) kill(process, SIGKILL);
    poll(nullptr, 0, 10);
  }
  throw std::runtime_error("the process that runs this rank's commands is gone");
}

Helper::~Helper() {
  close(socket_);  // at which the process ends what it runs, and itself
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Helper::start(const Request& request) {
  std::string text;
  Head head{.kind = Kind::start, .limit_ns = request.limit ? request.limit->count() : 0};
  if (const auto words = command::words(request.line)) {
    for (const std::string& word : *words) append(text, word);
    head.words = static_cast<std::uint32_t>(words->size());
  } else {
    append(text, request.line);
  }
  for (const std::string& variable : request.environment) append(text, variable);
  head.variables = static_cast<std::uint32_t>(request.environment.size());
  head.bytes = text.size();
  if (!base::send_all(socket_, &head, sizeof(head), std::array{request.output, request.errors}) ||
      !base::send_all(socket_, text.data(), text.size())) {
    has_gone();
  }
}

std::optional<Report> Helper::ended() {
  pollfd ready{socket_, POLLIN, 0};
  if (poll(&ready, 1, 0) <= 0) return std::nullopt;
  Report report;
  if (!base::receive_all(socket_, &report, sizeof(report))) has_gone();
  return report;
}

void Helper::set_limit(std::chrono::nanoseconds limit) {
  const Head head{.kind = Kind::set_limit, .limit_ns = limit.count()};
  if (!base::send_all(socket_, &head, sizeof(head))) has_gone();
}

void Helper::end() {
  const Head head{.kind = Kind::end};
  if (!base::send_all(socket_, &head, sizeof(head))) has_gone();
}

}  // namespace echelon::command
