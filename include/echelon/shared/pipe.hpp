#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>

#include <echelon/base/deadline.hpp>
#include <echelon/shared/channel.hpp>

namespace echelon::shared {

struct PipeOptions {
  std::uint64_t capacity = 1024;  ///< items each way; 1 to 2^24
};

/// Python's multiprocessing.Pipe between two ranks: what one end sends, the other receives, in order, both ways.
/// Progress and its costs are a Queue's. For one thread of each rank.
template <typename T>
class Pipe {
 public:
  static_assert(comm::Sendable<T>,
                "echelon: values of this type cannot go through a Pipe, as they cannot be sent to another rank; see "
                "Packer::put");

  /// Collective over all ranks of the session, of which `one` and `other` have an end. Throws base::UsageError where
  /// these are not two ranks, or the capacity is 0.
  Pipe(const comm::Session& session, int one, int other, PipeOptions options = {})
      : there_{session,
               role(session, one, other),
               {options.capacity, detail::typical_bytes<T>, "pipe", comm::Call::pipe, true}},
        back_{session,
              role(session, other, one),
              {options.capacity, detail::typical_bytes<T>, "pipe", comm::Call::pipe, true}},
        out_{session.rank() == one ? there_ : back_},
        in_{session.rank() == one ? back_ : there_} {}

  /// As close(), but that an exception which leaves the pipe's scope waits for nobody.
  ~Pipe() {
    if (std::uncaught_exceptions() > exceptions_at_start_) return;
    try {
      in_.close_get();
    } catch (...) {  // who is left learns of it by what is lost
    }
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  /// Waits while as many items as the capacity allows are on their way. Throws Closed where the other end has closed or
  /// is lost: nobody would receive it. Between nodes that is known when receive() has given nothing for it, or when an
  /// item has come there in vain: then the next send throws, or close().
  void send(const T& item) { (void)send_until(item, std::nullopt); }
  template <typename Rep, typename Period>
  [[nodiscard]] bool send_for(const T& item, std::chrono::duration<Rep, Period> limit) {
    return send_until(item, base::deadline(limit));
  }

  /// The next item; nothing at the end of file: the other end has closed, and all that it sent was received, or is
  /// lost, with what had not yet left its node.
  [[nodiscard]] std::optional<T> receive() { return receive_until(std::nullopt); }
  /// The next item; nothing where there is none now.
  [[nodiscard]] std::optional<T> try_receive() { return receive_until(detail::at_once); }
  /// The next item; nothing where none came for so long, or at the end of file.
  template <typename Rep, typename Period>
  [[nodiscard]] std::optional<T> receive_for(std::chrono::duration<Rep, Period> limit) {
    return receive_until(base::deadline(limit));
  }
  /// The last receive, of whatever kind, gave nothing because of the end of file.
  [[nodiscard]] bool has_ended() const noexcept { return ended_; }

  /// This end neither sends nor receives any more. The pipe's destructor closes too.
  void close() {
    in_.close_get();  // first: where the other end sees the end of file, its sends throw
    out_.close_put();
  }

 private:
  static Role role(const comm::Session& session, int from, int to) {
    detail::check_ends(session, from, to);
    return session.rank() == from ? Role::producer : session.rank() == to ? Role::consumer : Role::none;
  }
  [[nodiscard]] bool send_until(const T& item, detail::Until until) {
    if (is_closed_) throw Closed("the pipe is closed, or its other end is lost: nobody would receive it");
    packer_.clear();
    packer_.put(item);
    return out_.put(packer_, until);
  }
  [[nodiscard]] std::optional<T> receive_until(detail::Until until) {
    const auto got = in_.get(bytes_, until);
    ended_ = got == detail::Channel::Got::end;
    is_closed_ = is_closed_ || ended_;
    if (got != detail::Channel::Got::item) return std::nullopt;
    return comm::Unpacker{bytes_}.template get<T>();
  }

  detail::Channel there_;
  detail::Channel back_;
  detail::Channel& out_;
  detail::Channel& in_;
  comm::Packer packer_;
  comm::Bytes bytes_;
  bool ended_ = false;
  bool is_closed_ = false;  // the end of file was seen
  int exceptions_at_start_ = std::uncaught_exceptions();
};

}  // namespace echelon::shared
