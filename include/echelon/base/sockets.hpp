#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <echelon/base/files.hpp>

namespace echelon::base {

/// std::system_error of errno.
[[noreturn]] void throw_errno(const std::string& call);

/// Of a host, in network order; IPv4 as IPv6 maps it, ::ffff:a.b.c.d.
using Address = std::array<std::uint8_t, 16>;

/// On a free port of all addresses, IPv6 and IPv4, or IPv4 alone where there is no IPv6. Non-blocking.
[[nodiscard]] Descriptor listen_everywhere();
/// On a free port of the loopback address, where other hosts cannot connect. Non-blocking.
[[nodiscard]] Descriptor listen_within_host();
[[nodiscard]] std::uint16_t port_of(const Descriptor& socket);

/// This host's addresses that other hosts may know.
[[nodiscard]] std::vector<Address> own_addresses();
[[nodiscard]] Address loopback() noexcept;
/// Of two processes with the same name, each reaches the other on the loopback address.
[[nodiscard]] std::string loopback_name();

[[nodiscard]] std::string to_string(const Address& address);
/// What to_string() has written; nothing where the text is no address.
[[nodiscard]] std::optional<Address> parse_address(const std::string& text);

/// Of a non-blocking socket, on its way to being connected; not open where that failed at once, with errno set.
[[nodiscard]] Descriptor start_connecting(const Address& address, std::uint16_t port);
/// 0, or why a socket has not been connected (an errno).
[[nodiscard]] int connect_error(const Descriptor& socket) noexcept;
/// Small messages leave at once.
void set_no_delay(const Descriptor& socket) noexcept;

}  // namespace echelon::base
