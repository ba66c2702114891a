#include "line.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string_view>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <echelon/base/local_socket.hpp>

namespace echelon::launch {
namespace {

constexpr std::size_t handed_over = 3;  // and the files
static_assert(handed_over + most_given_files <= base::most_descriptors);

/// Comes with the descriptors; the files' names come after it, each ended by a NUL.
struct Handover {
  std::uint32_t files;
  std::uint32_t names_bytes;
};

bool set_address(sockaddr_un& address, std::string_view path) {
  if (path.empty() || path.size() >= sizeof(address.sun_path)) return false;
  address.sun_family = AF_UNIX;
  path.copy(&address.sun_path[0], path.size());
  return true;
}

int new_socket() { return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); }

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
  std::vector<int> all(descriptors.begin(), descriptors.end());
  std::string names;
  for (const GivenFile& file : files) {
    names += file.name;
    names += '\0';
    all.push_back(file.descriptor);
  }
  const Handover head{static_cast<std::uint32_t>(files.size()), static_cast<std::uint32_t>(names.size())};
  const bool sent =
      base::send_all(rank_0_, &head, sizeof(head), all) && base::send_all(rank_0_, names.data(), names.size());
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
  setsockopt(line, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  std::vector<int> all(handed_over + most_given_files, -1);
  Handover head{};
  std::string names;
  if (connect(line, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      base::receive_all(line, &head, sizeof(head), all)) {
    names.resize(head.names_bytes);
    if (base::receive_all(line, names.data(), names.size())) {
      std::copy_n(all.begin(), handed_over, descriptors.begin());
      const char* name = names.c_str();
      for (std::size_t i = 0; i < head.files; ++i) {
        files.push_back({name, all[handed_over + i]});
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
