#include "liveness_channel.hpp"

#include <cerrno>

#include <sys/socket.h>

namespace echelon::comm {

Channel::~Channel() { shut_down(); }

void Channel::shut_down() noexcept {
  // More than closing it: a child process may have been forked meanwhile and hold the socket as well.
  if (socket_.is_open()) shutdown(socket_.get(), SHUT_RDWR);
}

void Channel::finish_sending() noexcept { shutdown(socket_.get(), SHUT_WR); }

Channel::ReadEnd Channel::read_more() {
  const std::size_t room = received_.size() - received_bytes_;
  const ssize_t count = recv(socket_.get(), received_.data() + received_bytes_, room, 0);
  if (count > 0) {
    received_bytes_ += static_cast<std::size_t>(count);
    return static_cast<std::size_t>(count) == room ? ReadEnd::more : ReadEnd::nothing;
  }
  if (count == 0) return ReadEnd::closed;
  if (errno == EINTR) return ReadEnd::more;
  return errno == EAGAIN || errno == EWOULDBLOCK ? ReadEnd::nothing : ReadEnd::closed;
}

bool Channel::send(const Frame& frame) {
  if (unsent_.size() + sizeof frame > most_unsent_bytes) return false;
  const auto* begin = reinterpret_cast<const std::byte*>(&frame);
  unsent_.insert(unsent_.end(), begin, begin + sizeof frame);
  flush();
  return true;
}

void Channel::flush() {
  while (!unsent_.empty()) {
    const ssize_t count = ::send(socket_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      unsent_.erase(unsent_.begin(), unsent_.begin() + count);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else if (errno != EINTR) {
      unsent_.clear();
    }
  }
}

}  // namespace echelon::comm
