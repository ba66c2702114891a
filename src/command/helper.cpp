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

namespace detail {

bool send_all(int socket, const void* from, std::size_t size, std::array<int, 2> descriptors) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(descriptors))> control{};
  while (size > 0) {
    iovec piece{const_cast<void*>(from), size};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    if (descriptors[0] >= 0) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* const header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(descriptors));
      std::memcpy(CMSG_DATA(header), descriptors.data(), sizeof(descriptors));
    }
    const ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    descriptors = {-1, -1};
    from = static_cast<const char*>(from) + sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

bool receive_all(int socket, void* to, std::size_t size, std::array<int, 2>* descriptors) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(std::array<int, 2>))> control{};
  while (size > 0) {
    iovec piece{to, size};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return false;
    const cmsghdr* const header = CMSG_FIRSTHDR(&message);
    if (descriptors != nullptr && header != nullptr && header->cmsg_type == SCM_RIGHTS) {
      std::memcpy(descriptors->data(), CMSG_DATA(header), sizeof(*descriptors));
    }
    to = static_cast<char*>(to) + received;
    size -= static_cast<std::size_t>(received);
  }
  return true;
}

}  // namespace detail

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
  if (!detail::send_all(socket_, &head, sizeof(head), {request.output, request.errors}) ||
      !detail::send_all(socket_, text.data(), text.size())) {
    has_gone();
  }
}

std::optional<Report> Helper::ended() {
  pollfd ready{socket_, POLLIN, 0};
  if (poll(&ready, 1, 0) <= 0) return std::nullopt;
  Report report;
  if (!detail::receive_all(socket_, &report, sizeof(report))) has_gone();
  return report;
}

void Helper::set_limit(std::chrono::nanoseconds limit) {
  const Head head{.kind = Kind::set_limit, .limit_ns = limit.count()};
  if (!detail::send_all(socket_, &head, sizeof(head))) has_gone();
}

void Helper::end() {
  const Head head{.kind = Kind::end};
  if (!detail::send_all(socket_, &head, sizeof(head))) has_gone();
}

}  // namespace echelon::command
