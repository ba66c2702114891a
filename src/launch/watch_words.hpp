#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <echelon/base/sockets.hpp>

namespace echelon::launch {

/// Where the starter waits for its ranks, as watch_variable has it.
struct WatchPlace {
  std::uint16_t port = 0;
  std::string host;                      ///< whose loopback it listens on, too (base::loopback_name)
  std::vector<base::Address> addresses;  ///< for ranks on other hosts

  [[nodiscard]] std::string text() const;
  [[nodiscard]] static std::optional<WatchPlace> parse(std::string_view text);
};

/// What a rank says first: "begun TOKEN RANK PROCESS\n".
inline constexpr std::string_view begun_word = "begun ";
/// Rank 0: the start is over on all ranks.
inline constexpr std::string_view started_line = "started\n";
/// It ends by exit().
inline constexpr std::string_view exits_line = "exits\n";

}  // namespace echelon::launch
