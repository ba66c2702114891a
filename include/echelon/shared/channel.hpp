#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <vector>

#include <echelon/comm/collective.hpp>
#include <echelon/comm/packing.hpp>
#include <echelon/comm/session.hpp>

namespace echelon::shared {

/// Something is put where nothing more can be: this end, or the other one, is closed.
class Closed : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// What a rank does with a queue.
enum class Role { none, producer, consumer, both };

namespace detail {

/// The end of a wait; nothing: for ever. One that is long over: one try.
using Until = std::optional<std::chrono::steady_clock::time_point>;
inline constexpr std::chrono::steady_clock::time_point at_once{};

/// A bounded queue of bytes between ranks: what Queue and Pipe are made of.
class Channel {
 public:
  struct Options {
    std::uint64_t capacity;       ///< items
    std::uint64_t typical_bytes;  ///< of an item
    const char* name;             ///< "queue" or "pipe", for what errors say
    comm::Call call;              ///< that makes it
    bool ends_with_producers;     ///< the loss of a producer is an end like any other
  };
  enum class Got { item, nothing, end };

  /// Collective; every rank says its own role. Throws base::UsageError where the capacity is none, or no rank produces
  /// or none consumes.
  Channel(const comm::Session& session, Role role, const Options& options);
  /// Closes this rank's end. What is in the queue goes with it when all have left.
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// False: it was full until then.
  bool put(comm::Packer& item, Until until);
  /// At the end this rank counts as one that gets no more.
  Got get(comm::Bytes& item, Until until);
  /// This rank puts, or gets, nothing more.
  void close_put();
  void close_get();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Bytes that an item takes as a rule; exact where all are alike.
template <typename T>
inline constexpr std::uint64_t typical_bytes = std::is_trivially_copyable_v<T> ? sizeof(T) : 64;

void check_ends(const comm::Session& session, int one, int other);

}  // namespace detail

}  // namespace echelon::shared
