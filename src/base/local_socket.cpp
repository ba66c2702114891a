#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <sys/socket.h>

#include <echelon/base/local_socket.hpp>

namespace echelon::base {

bool send_all(int socket, const void* from, std::size_t size, std::span<const int> descriptors) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(most_descriptors * sizeof(int))> control{};
  while (size > 0) {
    iovec piece{const_cast<void*>(from), size};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    if (!descriptors.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
      cmsghdr* const header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
      std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
    }
    const ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    descriptors = {};
    from = static_cast<const char*>(from) + sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

bool receive_all(int socket, void* to, std::size_t size, std::span<int> descriptors) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(most_descriptors * sizeof(int))> control{};
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
    if (!descriptors.empty() && header != nullptr && header->cmsg_type == SCM_RIGHTS) {
      std::memcpy(descriptors.data(), CMSG_DATA(header),
                  std::min<std::size_t>(descriptors.size_bytes(), header->cmsg_len - CMSG_LEN(0)));
    }
    to = static_cast<char*>(to) + received;
    size -= static_cast<std::size_t>(received);
  }
  return true;
}

}  // namespace echelon::base
