#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <optional>

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <echelon/base/local_socket.hpp>
#include <echelon/pool/nursery.hpp>

#include "nursery_process.hpp"

namespace echelon::pool::detail {
namespace {

constexpr Ended nobody_can_tell{.signal = 0, .status = -1};

bool has_one_thread() {
  std::error_code error;
  std::filesystem::directory_iterator threads{"/proc/self/task", error};
  return !error && std::distance(begin(threads), end(threads)) == 1;
}

std::optional<std::array<int, 2>> socket_pair() {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return std::nullopt;
  return ends;
}

/// A child whose end tells nobody but who asks for it by __WALL.
pid_t fork_unnoticed() { return static_cast<pid_t>(syscall(SYS_clone, 0UL, nullptr, nullptr, nullptr, nullptr)); }

}  // namespace

std::unique_ptr<Nursery> Nursery::start() {
  if (!has_one_thread()) return nullptr;
  const auto ends = socket_pair();
  if (!ends) return nullptr;
  // What has been written so far is written once, and by this process.
  std::cout.flush();
  std::clog.flush();
  std::fflush(nullptr);
  const pid_t rank = getpid();
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);  // a handler of the program's is not for the new process
  const pid_t pid = fork_unnoticed();
  if (pid == 0) {
    close((*ends)[0]);
    live_in_nursery((*ends)[1], rank, before);
  }
  sigprocmask(SIG_SETMASK, &before, nullptr);
  close((*ends)[1]);
  if (pid > 0) return std::unique_ptr<Nursery>{new Nursery{(*ends)[0], pid, rank}};
  close((*ends)[0]);
  return nullptr;
}

Nursery::~Nursery() {
  if (socket_ >= 0) close(socket_);
  if (getpid() != rank_) return;  // a process that a task has started
  kill(pid_, SIGKILL);            // as such processes may keep the socket open
  while (waitpid(pid_, nullptr, __WALL) < 0 && errno == EINTR) {
  }
}

comm::Packer Nursery::run(const TasksHead& head, std::span<const std::byte> function,
                          std::span<const std::byte> argument) {
  const auto end = run(Assignment{head, argument.size()}, function, argument);
  comm::Packer message;
  if (const auto* whole = std::get_if<comm::Bytes>(&end)) {
    message.bytes(whole->data(), whole->size());
  } else {
    message.put(ToMaster::crashed);
    message.put(head.chunk.tasks);
    message.put(std::get<Ended>(end));
  }
  return message;
}

std::variant<comm::Bytes, Ended> Nursery::run(const Assignment& assignment, std::span<const std::byte> function,
                                              std::span<const std::byte> argument) {
  if (socket_ < 0) return nobody_can_tell;
  const auto ends = socket_pair();
  if (!ends) return nobody_can_tell;
  const auto [task, its_end] = *ends;
  const char start = 0;
  const bool started = base::send_all(socket_, &start, sizeof(start), std::array{its_end});
  close(its_end);
  // Where the child dies meanwhile, the process says how.
  (void)(started && base::send_all(task, &assignment, sizeof(assignment)) &&
         base::send_all(task, function.data(), function.size()) &&
         base::send_all(task, argument.data(), argument.size()));
  auto result = receive(task);
  close(task);
  return result;
}

/// The message, and the end of the child. Others that the task has started may keep its socket open longer.
std::variant<comm::Bytes, Ended> Nursery::receive(int task) {
  std::uint64_t size = 0;
  comm::Bytes message;
  std::uint64_t have = 0;  // of both
  for (bool open = true;;) {
    std::array<pollfd, 2> ready{{{open ? task : -1, POLLIN, 0}, {socket_, POLLIN, 0}}};
    if (poll(ready.data(), ready.size(), -1) < 0) continue;  // a signal
    if (ready[0].revents != 0) {
      const bool has_size = have >= sizeof(size);
      if (has_size && message.empty()) message.resize(size);
      std::byte* const to =
          has_size ? message.data() + (have - sizeof(size)) : reinterpret_cast<std::byte*>(&size) + have;
      const std::uint64_t left = (has_size ? size + sizeof(size) : sizeof(size)) - have;
      const ssize_t got = left == 0 ? 0 : recv(task, to, left, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) open = false;
      have += got > 0 ? static_cast<std::uint64_t>(got) : 0;
      continue;
    }
    Ended ended = nobody_can_tell;
    if (!base::receive_all(socket_, &ended, sizeof(ended))) {
      close(socket_);
      socket_ = -1;
    }
    if (have > sizeof(size) && have == size + sizeof(size)) return message;
    return ended;
  }
}

}  // namespace echelon::pool::detail
