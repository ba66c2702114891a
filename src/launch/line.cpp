#include "line.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

namespace echelon::launch {
namespace {

constexpr std::size_t handed_over = 3;  // and the files
using Control = std::array<char, CMSG_SPACE((handed_over + most_given_files) * sizeof(int))>;

bool set_address(sockaddr_un& address, std::string_view path) {
  if (path.empty() || path.size() >= sizeof(address.sun_path)) return false;
  address.sun_family = AF_UNIX;
  path.copy(&address.sun_path[0], path.size());
  return true;
}

int new_socket() { return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); }

void close_all(const std::array<int, handed_over>& descriptors) {
  for (const int descriptor : descriptors) close(descriptor);
}

}  // namespace

Line::~Line() {
  if (listener_ >= 0) close(listener_);
  if (rank_0_ >= 0) close(rank_0_);
}

void Line::listen(const std::string& folder) {
  sockaddr_un address{};
  const std::string path = folder + "/starter";
  if (folder.empty() || !set_address(address, path)) return;
  listener_ = new_socket();
  if (listener_ < 0) return;
  if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(listener_, 1) != 0) {
    close(listener_);
    listener_ = -1;
    return;
  }
  path_ = path;
}

void Line::hand_over(const std::array<int, handed_over>& descriptors, const std::vector<GivenFile>& files) {
  rank_0_ = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (rank_0_ < 0) return;
  close(listener_);
  listener_ = -1;
  // What is closed here is closed there: reading, or writing, fails.
  std::array<int, handed_over> given{};
  for (std::size_t i = 0; i < handed_over; ++i) {
    given[i] = fcntl(descriptors[i], F_DUPFD_CLOEXEC, 0);
    if (given[i] < 0) given[i] = open("/dev/null", (i == 0 ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
  }
  // The files' names, each ended by a NUL, after a byte that is there without any.
  std::string names(1, '\0');
  std::vector<int> all(given.begin(), given.end());
  for (const GivenFile& file : files) {
    names += file.name;
    names += '\0';
    all.push_back(file.descriptor);
  }
  iovec data{names.data(), names.size()};
  alignas(cmsghdr) Control control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = CMSG_SPACE(all.size() * sizeof(int));
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(all.size() * sizeof(int));
  std::memcpy(CMSG_DATA(header), all.data(), all.size() * sizeof(int));
  const bool sent = sendmsg(rank_0_, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(names.size());
  close_all(given);
  if (sent) return;
  close(rank_0_);
  rank_0_ = -1;
}

bool Line::is_left() const noexcept {
  char byte = 0;
  return rank_0_ >= 0 && recv(rank_0_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void Line::ask_to_stop(int signal) const noexcept {
  const char byte = static_cast<char>(signal);
  (void)send(rank_0_, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int connect_line(const char* path, std::array<int, handed_over>& descriptors, std::vector<GivenFile>& files) {
  constexpr timeval patience{10, 0};  // the starter answers at once, unless it was stopped
  sockaddr_un address{};
  if (path == nullptr || !set_address(address, path)) return -1;
  const int line = new_socket();
  if (line < 0) return -1;
  std::array<char, 1 << 14> names{};
  iovec data{names.data(), names.size()};
  alignas(cmsghdr) Control control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  setsockopt(line, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  if (connect(line, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    ssize_t size = 0;
    while ((size = recvmsg(line, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
    }
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (size >= 1 && header != nullptr && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len >= CMSG_LEN(sizeof(descriptors))) {
      std::vector<int> all((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
      std::memcpy(all.data(), CMSG_DATA(header), all.size() * sizeof(int));
      std::copy_n(all.begin(), handed_over, descriptors.begin());
      const char* name = names.data() + 1;
      for (std::size_t i = handed_over; i < all.size(); ++i) {
        files.push_back({name, all[i]});
        name += files.back().name.size() + 1;
      }
      return line;
    }
  }
  close(line);
  return -1;
}

LineRequests requests_on(int line) noexcept {
  LineRequests news;
  char byte = 0;
  for (ssize_t size = 0;;) {
    size = recv(line, &byte, 1, MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return news;
    if (size <= 0) {
      news.is_closed = true;
      return news;
    }
    ++news.count;
    news.last_signal = byte;
  }
}

}  // namespace echelon::launch
