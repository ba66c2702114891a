#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include <echelon/comm/packing.hpp>
#include <echelon/comm/session.hpp>

namespace echelon::comm {

/// Messages of any length between ranks, in order from each rank to each other. Nothing here waits: a rank that is
/// busy, stopped or dead holds up no one.
///
/// Between the master and the ranks of its node messages go through lanes: memory that just these two share. All others
/// go over MPI, in pieces that it sends eagerly, without asking the receiver first, so that a receiver that dies leaves
/// nothing half done. MPI's buffers are limited, and those that lie with a dead rank never come back: a rank has so few
/// pieces under way to each other rank, which acknowledges them, that the buffers last even if all of them die.
class Mailbox {
 public:
  /// The bytes are valid until the next receive(), or as long as what take() gives.
  struct Message {
    int from;
    std::span<const std::byte> body;
    Bytes* whole;  // of a long message, whose bytes can be had without a copy

    [[nodiscard]] Bytes take() { return whole != nullptr ? std::move(*whole) : Bytes(body.begin(), body.end()); }
  };

  /// Collective; with a communicator of its own.
  explicit Mailbox(const Session& session);
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  /// Bytes that are sent from where they lie, and who keeps them there.
  struct Shared {
    std::shared_ptr<const void> owner;
    std::span<const std::byte> bytes;
  };

  /// Sends what was packed, which is empty afterwards, and then `rest`, as one message. What could not go out at once
  /// goes in receive().
  void send(int to, Packer& message, Shared rest = {});
  /// The next message that is complete, and lets others go on.
  [[nodiscard]] std::optional<Message> receive();
  /// The last receive() has moved a part of a long message, whole or not: who waits must not sleep now, as the other
  /// end is only as fast as this one.
  [[nodiscard]] bool has_moved() const;

  /// Nothing more goes to or comes from this rank.
  void forget(int rank);
  /// All that was sent is in MPI's hands. What went to forgotten ranks does not count.
  [[nodiscard]] bool has_sent_all() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace echelon::comm
