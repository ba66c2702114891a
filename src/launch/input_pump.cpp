#include "input_pump.hpp"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace echelon::launch {

void InputPump::start(int pipe) {
  pipe_ = pipe;
  // A key that interrupts takes away what poll() has seen, and read() would wait for the next line. The flag is not to
  // be set for the others that have this terminal, so it is opened once more.
  if (isatty(STDIN_FILENO) != 0) terminal_ = open("/proc/self/fd/0", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  fcntl(pipe_, F_SETFL, fcntl(pipe_, F_GETFL) | O_NONBLOCK);
}

void InputPump::stop() {
  if (pipe_ >= 0) close(std::exchange(pipe_, -1));
  if (terminal_ >= 0) close(std::exchange(terminal_, -1));
}

pollfd InputPump::waits_for() const noexcept {
  if (pipe_ < 0) return {-1, 0, 0};
  if (held_.empty()) return {source(), POLLIN, 0};
  return {pipe_, POLLOUT, 0};
}

void InputPump::step() {
  const auto passing = [] { return errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK; };
  if (held_.empty()) {
    constexpr std::size_t at_once = 65536;
    held_.resize(at_once);
    const ssize_t size = read(source(), held_.data(), held_.size());
    held_.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    if (size == 0 || (size < 0 && !passing())) stop();
    if (size <= 0) return;
  }
  const ssize_t size = write(pipe_, held_.data(), held_.size());
  if (size >= 0)
    held_.erase(0, static_cast<std::size_t>(size));
  else if (!passing())
    stop();
}

}  // namespace echelon::launch
