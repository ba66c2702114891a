#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include <echelon/base/deadline.hpp>
#include <echelon/shared/channel.hpp>

namespace echelon::shared {

struct QueueOptions {
  std::uint64_t capacity = 1024;  ///< items; 1 to 2^24
};

/// Python's multiprocessing.Queue, across the ranks of a job: what producers put, consumers get, each item once, and
/// those of one producer in their order.
///
/// The items lie in memory that the ranks of a node share, on the node of the first consumer. There nobody waits for
/// another rank's program: a put or a get takes some 20 ns, whatever the other ranks compute. Ranks of other nodes have
/// a message carry their items, as many together as came while the last one was on its way, and a thread of Echelon's
/// own answers, so that there too no one waits for a rank that computes; that thread costs a rank about 1 % of a core.
/// Such a producer may be ahead of the queue by as many items again as it holds. A consumer there that is the only one
/// is given many at once; where there are others it is given one at a time, as nobody is to hold what another could
/// take.
///
/// For one thread of each rank. Where a producer that has not closed, or a consumer that has not seen the end, is lost,
/// put() throws comm::RankLost, and get() does when it has given all that came; the same where an exception takes such
/// a rank out of the queue's scope.
template <typename T>
class Queue {
 public:
  static_assert(comm::Sendable<T>,
                "echelon: values of this type cannot be put into a Queue, as they cannot be sent to another rank; see "
                "Packer::put");

  /// Collective; every rank says what it will do. Throws base::UsageError on all ranks where the capacity is 0, or no
  /// rank produces or none consumes.
  Queue(const comm::Session& session, Role role, QueueOptions options = {})
      : channel_{session, role, {options.capacity, detail::typical_bytes<T>, "queue", comm::Call::queue, false}} {}

  /// Waits while the queue is full. Throws Closed where no consumer is left; between nodes the next put or close() may
  /// be what says so.
  void put(const T& item) { (void)put_until(item, std::nullopt); }
  /// False: it is full, or, between nodes, what was put before is still on its way.
  [[nodiscard]] bool try_put(const T& item) { return put_until(item, detail::at_once); }
  /// False: it was full for so long.
  template <typename Rep, typename Period>
  [[nodiscard]] bool put_for(const T& item, std::chrono::duration<Rep, Period> limit) {
    return put_until(item, base::deadline(limit));
  }

  /// The next item; nothing when all producers have closed and every item was given to someone. Throws Closed on a rank
  /// that is no consumer.
  [[nodiscard]] std::optional<T> get() { return get_until(std::nullopt); }
  /// The next item; nothing where there is none now.
  [[nodiscard]] std::optional<T> try_get() { return get_until(detail::at_once); }
  /// The next item; nothing where none came for so long, or at the end.
  template <typename Rep, typename Period>
  [[nodiscard]] std::optional<T> get_for(std::chrono::duration<Rep, Period> limit) {
    return get_until(base::deadline(limit));
  }
  /// The last get, of whatever kind, gave nothing because the end has come.
  [[nodiscard]] bool has_ended() const noexcept { return ended_; }

  /// This rank puts nothing more; to do so is Closed. The queue's destructor closes too.
  void close() { channel_.close_put(); }

 private:
  [[nodiscard]] bool put_until(const T& item, detail::Until until) {
    packer_.clear();
    packer_.put(item);
    return channel_.put(packer_, until);
  }
  [[nodiscard]] std::optional<T> get_until(detail::Until until) {
    const auto got = channel_.get(bytes_, until);
    ended_ = got == detail::Channel::Got::end;
    if (got != detail::Channel::Got::item) return std::nullopt;
    return comm::Unpacker{bytes_}.template get<T>();
  }

  detail::Channel channel_;
  comm::Packer packer_;
  comm::Bytes bytes_;
  bool ended_ = false;
};

}  // namespace echelon::shared
