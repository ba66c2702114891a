#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include <echelon/comm/liveness.hpp>

#include "socket.hpp"

namespace echelon::comm {

/// All that travels between the two ends, in the machine's own byte order: a job's ranks run the same program.
///
///   worker            master
///   hello(secret) ->         proves itself
///                 <- welcome(secret)
///   ready         ->         only now is the rank in: a worker that has given this address up never says so
///                 <- heartbeat       once a period
///   heartbeat     ->                 at once
///                 <- request(value)
///   answer(value, answer) ->
///   word(value)   ->         either way: for which there is no answer
///                 <- word(value)
///   goodbye       ->         either way: my closing is no loss
///                 <- goodbye
///   gave_up(code) ->         my closing is a loss, and this is why
///                 <- end     the process is to end at once
struct Frame {
  enum class Kind : std::uint32_t {
    hello = 1,
    welcome,
    ready,
    heartbeat,
    request,
    answer,
    goodbye,
    end,
    gave_up,
    word
  };

  Kind kind{};
  std::int32_t rank = 0;                   ///< of hello
  std::array<std::uint64_t, 2> content{};  ///< a secret, a request's value and its answer, a word, or a code
};
static_assert(sizeof(Frame) == 24 && std::is_trivially_copyable_v<Frame>);

/// In the same time for any two.
[[nodiscard]] inline bool same_secret(const LivenessInvitation::Secret& a, const LivenessInvitation::Secret& b) {
  return ((a[0] ^ b[0]) | (a[1] ^ b[1])) == 0;
}

/// How often heartbeats are sent.
[[nodiscard]] inline std::chrono::milliseconds heartbeat_period(const LivenessOptions& options) {
  return std::max(options.silence / 10, std::chrono::milliseconds{1});
}

/// Of the time between two looks, what counts as silence of the others.
[[nodiscard]] inline std::chrono::milliseconds longest_gap(const LivenessOptions& options) {
  return 2 * heartbeat_period(options);
}

/// Frames over a connected non-blocking socket. Sending and receiving may be done by two threads.
class Channel {
 public:
  /// Who does not read for so long has kept as much unread in the system's buffers before.
  static constexpr std::size_t most_unsent_bytes = std::size_t{1} << 16U;

  explicit Channel(Descriptor socket) : socket_{std::move(socket)} { set_no_delay(socket_); }
  ~Channel();
  Channel(Channel&&) noexcept = default;
  Channel& operator=(Channel&&) = delete;

  [[nodiscard]] int fd() const noexcept { return socket_.get(); }

  /// Takes all frames that are there, until `take` says false. False: that, or the connection has closed.
  template <typename Take>
  [[nodiscard]] bool receive(Take take) {
    for (;;) {
      const ReadEnd end = read_more();
      std::size_t at = 0;
      for (; received_bytes_ - at >= sizeof(Frame); at += sizeof(Frame)) {
        Frame frame;
        std::memcpy(&frame, received_.data() + at, sizeof frame);
        if (!take(frame)) return false;
      }
      received_bytes_ -= at;
      std::memmove(received_.data(), received_.data() + at, received_bytes_);
      if (end != ReadEnd::more) return end == ReadEnd::nothing;
    }
  }

  /// Now or, where the socket takes no more, by flush(). False: too much is waiting. That the connection is broken is
  /// for receive() to find, after all that arrived before.
  [[nodiscard]] bool send(const Frame& frame);
  void flush();
  [[nodiscard]] bool has_unsent() const noexcept { return !unsent_.empty(); }

  /// No more will be sent; the other end reads what was, and then the end.
  void finish_sending() noexcept;
  void shut_down() noexcept;

 private:
  enum class ReadEnd { more, nothing, closed };
  ReadEnd read_more();

  Descriptor socket_;
  std::array<std::byte, 64 * sizeof(Frame)> received_{};
  std::size_t received_bytes_ = 0;
  std::vector<std::byte> unsent_;
};

}  // namespace echelon::comm
