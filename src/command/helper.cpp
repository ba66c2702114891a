#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <utility>

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

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

Helper::Helper(const std::vector<std::string>& environment) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw std::runtime_error(std::string{"cannot make a socket: "} + std::strerror(errno));
  }
  prctl(PR_SET_CHILD_SUBREAPER, 1);  // of orphans, should both processes be killed
  guard_ = fork();
  if (guard_ < 0) {
    close(ends[0]);
    close(ends[1]);
    throw std::runtime_error(std::string{"cannot start a process: "} + std::strerror(errno));
  }
  if (guard_ == 0) {
    close(ends[0]);
    detail::guard(ends[1], environment);
  }
  close(ends[1]);
  to_guard_ = ends[0];
  next_runner();
}

/// Who runs commands from now on; what the one before was running has been ended.
void Helper::next_runner() {
  if (socket_ >= 0) close(std::exchange(socket_, -1));
  char byte = 0;
  if (!base::send_all(to_guard_, &byte, 1) || !base::receive_all(to_guard_, &byte, 1, {&socket_, 1})) has_gone();
  if (socket_ < 0) throw std::runtime_error("cannot start a process that runs commands");
}

/// What they were running has become this process's own, and is ended.
void Helper::has_gone() const {
  detail::kill_descendants();
  throw std::runtime_error("the processes that run this rank's commands are gone");
}

Helper::~Helper() {
  if (socket_ >= 0) close(socket_);  // at which the process ends what it runs, and itself
  close(to_guard_);
  const auto limit = std::chrono::steady_clock::now() + 2 * detail::longest_killing;
  while (waitpid(guard_, nullptr, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > limit) kill(guard_, SIGKILL);
    poll(nullptr, 0, 1);
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
  const std::array<int, 2> files{request.output, request.errors};
  const bool has_files = request.output >= 0 && request.errors >= 0;
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (base::send_all(socket_, &head, sizeof(head), has_files ? std::span{files} : std::span<const int>{}) &&
        base::send_all(socket_, text.data(), text.size())) {
      return;
    }
    next_runner();  // somebody killed the last one while it had nothing to do
  }
  has_gone();
}

std::optional<Report> Helper::ended() {
  pollfd ready{socket_, POLLIN, 0};
  if (poll(&ready, 1, 0) <= 0) return std::nullopt;
  printed_ = {};
  detail::Answer answer;
  const auto receive = [&](std::string& text, std::uint64_t bytes) {
    text.resize(bytes);
    return base::receive_all(socket_, text.data(), bytes);
  };
  if (base::receive_all(socket_, &answer, sizeof(answer)) && receive(printed_.output, answer.output_bytes) &&
      receive(printed_.errors, answer.errors_bytes) && receive(printed_.errors_end, answer.errors_end_bytes)) {
    return answer.report;
  }
  next_runner();
  printed_ = {};
  return Report{.signal = SIGKILL, .runner_was_killed = true};
}

// Where nobody is left to be told, ended() sees it.

void Helper::set_limit(std::chrono::nanoseconds limit) {
  const Head head{.kind = Kind::set_limit, .limit_ns = limit.count()};
  (void)base::send_all(socket_, &head, sizeof(head));
}

void Helper::end() {
  const Head head{.kind = Kind::end};
  (void)base::send_all(socket_, &head, sizeof(head));
}

}  // namespace echelon::command
