#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <fstream>
#include <system_error>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <echelon/base/sockets.hpp>

namespace echelon::base {
namespace {

constexpr Address mapped_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr std::size_t prefix_bytes = 12;

bool is_mapped(const Address& address) {
  return std::equal(address.begin(), address.begin() + prefix_bytes, mapped_prefix.begin());
}

/// Any of the kinds of socket address, as the functions of the system take them.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = sizeof(sockaddr_storage);

  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] int family() const { return storage.ss_family; }
};

SocketAddress socket_address(const Address& address, std::uint16_t port) {
  SocketAddress result;
  if (is_mapped(address)) {
    sockaddr_in ipv4{};
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(port);
    std::memcpy(&ipv4.sin_addr, address.data() + prefix_bytes, sizeof ipv4.sin_addr);
    std::memcpy(&result.storage, &ipv4, result.length = sizeof ipv4);
  } else {
    sockaddr_in6 ipv6{};
    ipv6.sin6_family = AF_INET6;
    ipv6.sin6_port = htons(port);
    std::memcpy(&ipv6.sin6_addr, address.data(), sizeof ipv6.sin6_addr);
    std::memcpy(&result.storage, &ipv6, result.length = sizeof ipv6);
  }
  return result;
}

Address mapped(std::uint32_t ipv4_in_network_order) {
  Address result = mapped_prefix;
  std::memcpy(result.data() + prefix_bytes, &ipv4_in_network_order, sizeof ipv4_in_network_order);
  return result;
}

Descriptor stream_socket(int family) {
  return Descriptor{socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
}

/// Not open, with errno set, where that family does not work here.
Descriptor listen_on(SocketAddress any) {
  Descriptor listener = stream_socket(any.family());
  if (!listener.is_open()) return listener;
  if (any.family() == AF_INET6) {
    const int off = 0;  // IPv4 as well
    if (setsockopt(listener.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) return {};
  }
  if (bind(listener.get(), any.get(), any.length) != 0 || listen(listener.get(), SOMAXCONN) != 0) return {};
  return listener;
}

}  // namespace

void throw_errno(const std::string& call) { throw std::system_error(errno, std::generic_category(), call); }

Descriptor listen_everywhere() {
  Descriptor listener = listen_on(socket_address(Address{}, 0));  // ::
  if (!listener.is_open()) listener = listen_on(socket_address(mapped(INADDR_ANY), 0));
  if (!listener.is_open()) throw_errno("cannot listen on any port");
  return listener;
}

Descriptor listen_within_host() {
  Descriptor listener = listen_on(socket_address(loopback(), 0));
  if (!listener.is_open()) throw_errno("cannot listen on any port of the loopback address");
  return listener;
}

std::uint16_t port_of(const Descriptor& socket) {
  SocketAddress own;
  if (getsockname(socket.get(), own.get(), &own.length) != 0) throw_errno("getsockname");
  in_port_t port = 0;  // at the same place in both families
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  std::memcpy(&port, reinterpret_cast<const char*>(&own.storage) + offsetof(sockaddr_in, sin_port), sizeof port);
  return ntohs(port);
}

std::vector<Address> own_addresses() {
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) throw_errno("getifaddrs");
  std::vector<Address> found;
  for (const ifaddrs* at = first; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || (at->ifa_flags & IFF_UP) == 0 || (at->ifa_flags & IFF_LOOPBACK) != 0) continue;
    if (at->ifa_addr->sa_family == AF_INET) {
      sockaddr_in ipv4{};
      std::memcpy(&ipv4, at->ifa_addr, sizeof ipv4);
      const std::uint32_t host_order = ntohl(ipv4.sin_addr.s_addr);
      const bool link_local = host_order >> 16U == 0xa9fe;  // 169.254
      if (!link_local && host_order >> 24U != IN_LOOPBACKNET) found.push_back(mapped(ipv4.sin_addr.s_addr));
    } else if (at->ifa_addr->sa_family == AF_INET6) {
      sockaddr_in6 ipv6{};
      std::memcpy(&ipv6, at->ifa_addr, sizeof ipv6);
      if (IN6_IS_ADDR_LINKLOCAL(&ipv6.sin6_addr) || IN6_IS_ADDR_LOOPBACK(&ipv6.sin6_addr)) continue;
      std::memcpy(found.emplace_back().data(), &ipv6.sin6_addr, sizeof ipv6.sin6_addr);
    }
  }
  freeifaddrs(first);
  return found;
}

Address loopback() noexcept { return mapped(htonl(INADDR_LOOPBACK)); }

std::string loopback_name() {
  std::string kernel;  // this boot of it; containers on one host share it, but not always their network
  if (!std::getline(std::ifstream{"/proc/sys/kernel/random/boot_id"}, kernel)) {
    std::array<char, HOST_NAME_MAX + 1> host{};
    gethostname(host.data(), host.size() - 1);
    kernel = host.data();
  }
  struct stat network {};
  if (stat("/proc/self/ns/net", &network) != 0) return kernel;
  return std::to_string(network.st_ino) + ' ' + kernel;
}

std::string to_string(const Address& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (is_mapped(address)) {
    inet_ntop(AF_INET, address.data() + prefix_bytes, text.data(), text.size());
  } else {
    inet_ntop(AF_INET6, address.data(), text.data(), text.size());
  }
  return text.data();
}

std::optional<Address> parse_address(const std::string& text) {
  Address address{};
  if (inet_pton(AF_INET6, text.c_str(), address.data()) == 1) return address;
  std::uint32_t ipv4 = 0;
  if (inet_pton(AF_INET, text.c_str(), &ipv4) == 1) return mapped(ipv4);
  return std::nullopt;
}

Descriptor start_connecting(const Address& address, std::uint16_t port) {
  SocketAddress to = socket_address(address, port);
  Descriptor connecting = stream_socket(to.family());
  if (!connecting.is_open()) return connecting;
  if (connect(connecting.get(), to.get(), to.length) != 0 && errno != EINPROGRESS) {
    const int why = errno;
    connecting.reset();
    errno = why;
  }
  return connecting;
}

int connect_error(const Descriptor& socket) noexcept {
  int error = 0;
  socklen_t length = sizeof error;
  return getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

void set_no_delay(const Descriptor& socket) noexcept {
  const int on = 1;
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace echelon::base
