#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <echelon/base/sockets.hpp>

namespace echelon::launch {

/// The place at which the starter waits for its ranks, as watch_variable has it.
struct WatchPlace {
  std::uint16_t port = 0;
  std::string host;                      ///< whose loopback it listens on, too (base::loopback_name)
  std::vector<base::Address> addresses;  ///< for ranks on other hosts

  [[nodiscard]] std::string text() const;
  [[nodiscard]] static std::optional<WatchPlace> parse(std::string_view text);
};

/// Rank 0 cannot open its line to launch() (class Line), as on another node: launch() hands its input to the launcher,
/// and requests to stop come over the rank's connection, a byte for each as over the line. Returns that connection,
/// which is not to be closed; -1 without.
[[nodiscard]] int tell_out_of_reach() noexcept;

/// What a rank tells the starter: lines that begin with one of these words, the first of them with `begun`.
namespace word {
inline constexpr std::string_view begun = "begun";  ///< TOKEN RANK PROCESS HOST, and base::loopback_name()
inline constexpr std::string_view started = "started";
inline constexpr std::string_view outcome = "outcome";  ///< STATUS
inline constexpr std::string_view reason = "reason";    ///< TEXT, in which line_break stands for each end of line
inline constexpr std::string_view aborts = "aborts";    ///< STATUS IS_EXPLAINED
inline constexpr std::string_view out_of_reach = "out-of-reach";
inline constexpr std::string_view exits = "exits";  ///< STATUS: it has called exit()
}  // namespace word
inline constexpr char line_break = '\r';
inline constexpr std::size_t longest_reason = 16 << 10;

}  // namespace echelon::launch
