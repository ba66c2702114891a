#include <algorithm>
#include <cstring>
#include <deque>
#include <stdexcept>
#include <utility>
#include <vector>

#include <echelon/comm/mailbox.hpp>
#include <echelon/comm/nodes.hpp>
#include <echelon/comm/roster.hpp>

#include "lane.hpp"
#include "pieces.hpp"
#include "session_impl.hpp"

namespace echelon::comm {
namespace {

/// What a rank may have sent another over MPI without having heard that it was received.
constexpr std::uint64_t most_under_way = 512;
/// If that goes through the memory which MPI shares with all ranks of the host, it takes the place of others': so all
/// ranks together stay below what there is even if every one of them stops, or dies, with all of it unread. A quarter,
/// as a session can have two mailboxes, and collectives need some.
constexpr std::uint64_t share_of_memory = 4;

/// A message that is longer is put together in memory of its own, which the caller can have.
constexpr std::size_t short_bytes = Pieces::bytes;
/// Copied at a time out of a lane, so that the sender can go on.
constexpr std::size_t copied_at_a_time = 32 << 10;
/// If all ranks have lanes, only every so many looks go to MPI, which may have to go on with something else that the
/// program has asked of it. Each of them can be a sched_yield() as well (mpi_yield_when_idle): with one at every look
/// that found nothing, the pool gave out 0.7 times as many tasks a second (3 ranks on 2 CPUs).
constexpr unsigned lanes_before_mpi = 16;
/// After so many looks that found nothing, some 50 us, MPI is looked at each time.
constexpr unsigned looks_without_mpi = 256;

enum class PieceKind : std::uint64_t {
  begin = 0,  // of a message; the number is its length
  more = 1,   // the next piece of it
  ack = 2,    // nothing but its head
};

/// The first word of each piece. `received`: pieces from the other end since it was last told.
struct PieceHead {
  PieceKind kind;
  std::uint64_t received;
  std::uint64_t number;
};
constexpr int kind_shift = 62;
constexpr int received_shift = 50;
constexpr std::uint64_t most_received = (1U << (kind_shift - received_shift)) - 1;

std::uint64_t encode_head(PieceHead head) {
  return static_cast<std::uint64_t>(head.kind) << kind_shift | head.received << received_shift | head.number;
}
PieceHead decode_head(std::uint64_t word) {
  return {static_cast<PieceKind>(word >> kind_shift), word >> received_shift & most_received,
          word & ((std::uint64_t{1} << received_shift) - 1)};
}
constexpr std::size_t head_bytes = sizeof(std::uint64_t);
static_assert(head_bytes == Lane::unit);

void append(Bytes& to, std::span<const std::byte> bytes) {
  const std::size_t at = to.size();
  to.resize(at + bytes.size());
  std::memcpy(to.data() + at, bytes.data(), bytes.size());
}

/// The memory of the lanes between the master and the other ranks of its node; nullptr if there are no such ranks, or
/// the node has no memory for them. Collective.
std::unique_ptr<SharedMemory> memory_for_lanes(const Session& session, const Nodes& nodes) {
  std::uint64_t lanes = 0;
  for (int rank = 1; rank < session.size(); ++rank) lanes += nodes.leader(rank) == nodes.leader(master) ? 2 : 0;
  if (lanes == 0) return nullptr;
  try {
    return std::make_unique<SharedMemory>(session, nodes.is_here(master) ? lanes * Lane::memory_bytes : 1);
  } catch (const RankLost&) {
    throw;
  } catch (const std::runtime_error&) {  // the same on all ranks: MPI carries the messages then
    return nullptr;
  }
}

}  // namespace

struct Mailbox::Impl {
  struct Outgoing {
    Bytes bytes;  // head included
    Shared rest;  // which follows them
    std::size_t sent = 0;

    [[nodiscard]] std::size_t size() const { return bytes.size() + rest.bytes.size(); }
    /// What is next, as far as it lies in one piece.
    [[nodiscard]] std::span<const std::byte> unsent() const {
      if (sent < bytes.size()) return std::span{bytes}.subspan(sent);
      return rest.bytes.subspan(sent - bytes.size());
    }
  };
  struct Peer {
    std::deque<Outgoing> queue;  // not yet, or not wholly, sent
    Bytes body;                  // of a message of which not all has come
    std::uint64_t expected = 0;  // bytes of it; 0: none is coming
    bool gone = false;
    std::optional<Lane> to;  // in place of MPI
    std::optional<Lane> from;
    std::uint64_t under_way = 0;  // pieces over MPI that the peer has not said to have received
    std::uint64_t may_be_under_way = most_under_way;
    std::uint64_t to_ack = 0;  // pieces from it that it has not been told of
  };

  explicit Impl(const Session& of)
      : session{of},
        nodes{Nodes::shared(session)},
        lanes{memory_for_lanes(session, *nodes)},
        pieces{session},
        peers(static_cast<std::size_t>(session.size())) {
    make_lanes();
    limit_pieces();
  }

  void make_lanes() {
    if (!lanes || !nodes->is_here(master)) return;
    std::byte* at = lanes->data();
    const auto next = [&] { return std::exchange(at, at + Lane::memory_bytes); };
    for (int rank = 1; rank < session.size(); ++rank) {
      if (!nodes->is_here(rank)) continue;
      std::byte* const from_master = next();
      std::byte* const to_master = next();
      if (session.is_master()) {
        peer(rank).to.emplace(from_master);
        peer(rank).from.emplace(to_master);
        with_lane.push_back(rank);
      } else if (rank == session.rank()) {
        peer(master).to.emplace(to_master);
        peer(master).from.emplace(from_master);
        with_lane.push_back(master);
      }
    }
  }

  void limit_pieces() {
    const std::uint64_t memory = pieces_in_shared_memory(session);
    const auto is_of_host = [&](int rank) { return nodes->host(rank) == nodes->host(session.rank()); };
    std::uint64_t others = 0;
    for (int rank = 0; rank < session.size(); ++rank) others += is_of_host(rank) && rank != session.rank() ? 1 : 0;
    for (int rank = 0; rank < session.size(); ++rank) {
      if (!is_of_host(rank) || others == 0) continue;
      peer(rank).may_be_under_way = std::clamp<std::uint64_t>(memory / share_of_memory / others, 1, most_under_way);
    }
  }

  Peer& peer(int rank) { return peers[static_cast<std::size_t>(rank)]; }

  // ---- sending ----

  void send(int to, Bytes& bytes, Shared rest) {
    Peer& p = peer(to);
    put_head(bytes, PieceKind::begin, bytes.size() - head_bytes + rest.bytes.size());
    if (rest.bytes.empty() && p.queue.empty() && try_to_send(to, p, bytes)) {
      bytes.clear();
      return;
    }
    // A lane takes whole units, but at the end of a message.
    const std::size_t filled = std::min((Lane::unit - bytes.size() % Lane::unit) % Lane::unit, rest.bytes.size());
    append(bytes, rest.bytes.first(filled));
    rest.bytes = rest.bytes.subspan(filled);
    if (p.queue.empty()) ++ranks_waiting;
    p.queue.push_back({std::move(bytes), std::move(rest), 0});
    bytes = {};
    advance(to);
  }

  static void put_head(Bytes& bytes, PieceKind kind, std::uint64_t number) {
    const std::uint64_t word = encode_head({kind, 0, number});
    std::memcpy(bytes.data(), &word, head_bytes);
  }

  /// A short message for which there is room.
  bool try_to_send(int to, Peer& p, Bytes& bytes) {
    if (bytes.size() > short_bytes) return false;
    if (p.to) {
      const std::size_t sent = p.to->write(bytes);
      if (sent == bytes.size()) return true;
      if (sent == 0) return false;
      ++ranks_waiting;
      p.queue.push_back({std::move(bytes), {}, sent});
      bytes = {};
      return true;
    }
    if (p.under_way >= p.may_be_under_way) return false;
    send_piece(to, p, bytes);
    return true;
  }

  void send_piece(int to, Peer& p, Bytes& bytes) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), head_bytes);
    const std::uint64_t received = std::min(p.to_ack, most_received);
    p.to_ack -= received;
    word |= received << received_shift;
    std::memcpy(bytes.data(), &word, head_bytes);
    ++p.under_way;
    pieces.send(to, bytes);
  }

  /// Sends as much of what is queued for a rank as there is room for.
  /// @pre something is queued
  void advance(int to) {
    Peer& p = peer(to);
    while (!p.queue.empty()) {
      Outgoing& message = p.queue.front();
      const std::size_t sent = message.sent;
      if (p.to) {
        message.sent += p.to->write(message.unsent());
      } else if (p.under_way < p.may_be_under_way) {
        send_next_piece(to, p, message);
      }
      if (message.sent == sent) return;
      moved = true;
      if (message.sent == message.size()) p.queue.pop_front();
    }
    --ranks_waiting;
  }

  void send_next_piece(int to, Peer& p, Outgoing& message) {
    piece.clear();
    if (message.sent > 0) {
      piece.resize(head_bytes);
      put_head(piece, PieceKind::more, 0);
    }
    while (piece.size() < Pieces::bytes && message.sent < message.size()) {
      const auto next = message.unsent();
      const std::size_t count = std::min(next.size(), Pieces::bytes - piece.size());
      append(piece, next.first(count));
      message.sent += count;
    }
    send_piece(to, p, piece);
  }

  void acknowledge(int to, Peer& p) {
    piece.resize(head_bytes);
    put_head(piece, PieceKind::ack, 0);
    send_piece(to, p, piece);
    --p.under_way;  // one for many pieces, and never acknowledged itself
  }

  // ---- receiving ----

  std::optional<Message> receive() {
    moved = false;
    if (read_from != nullptr) std::exchange(read_from, nullptr)->consume(read_bytes);
    if (!complete.empty()) complete = {};
    if (ranks_waiting > 0) {
      for (const int rank : with_lane) {
        if (!peer(rank).queue.empty()) advance(rank);
      }
    }
    const bool all_have_lanes = with_lane.size() + 1 == peers.size();
    const bool mpi_first = ++looks % (all_have_lanes ? lanes_before_mpi : 2) == 0;
    auto message = mpi_first ? receive_pieces() : receive_from_lanes();
    if (!message && mpi_first) message = receive_from_lanes();
    if (!message && !mpi_first && (!all_have_lanes || idle_looks >= looks_without_mpi)) message = receive_pieces();
    idle_looks = message || moved ? 0 : idle_looks + 1;
    return message;
  }

  /// From each rank in turn.
  std::optional<Message> receive_from_lanes() {
    for (std::size_t i = 0; i < with_lane.size(); ++i) {
      next_lane = next_lane + 1 < with_lane.size() ? next_lane + 1 : 0;
      const int from = with_lane[next_lane];
      Peer& p = peer(from);
      if (p.gone) continue;
      if (auto message = receive_from_lane(from, p)) return message;
    }
    return std::nullopt;
  }

  std::optional<Message> receive_from_lane(int from, Peer& p) {
    if (p.expected == 0) {
      const auto bytes = p.from->readable();
      if (bytes.empty()) return std::nullopt;
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data(), head_bytes);
      const std::uint64_t size = decode_head(word).number;
      if (head_bytes + size <= std::min(bytes.size(), short_bytes)) {
        read_from = &*p.from;
        read_bytes = head_bytes + size;
        return Message{from, bytes.subspan(head_bytes, size), nullptr};
      }
      p.body.reserve(size);
      p.expected = size;
      p.from->consume(head_bytes);
    }
    while (p.body.size() < p.expected) {
      auto bytes = p.from->readable();
      if (bytes.empty()) return std::nullopt;
      bytes = bytes.first(std::min({bytes.size(), p.expected - p.body.size(), copied_at_a_time}));
      append(p.body, bytes);
      p.from->consume(bytes.size());
      moved = true;
    }
    return hand_out(from, p);
  }

  Message hand_out(int from, Peer& p) {
    complete = std::exchange(p.body, {});
    p.expected = 0;
    return {from, complete, complete.size() + head_bytes > short_bytes ? &complete : nullptr};
  }

  std::optional<Message> receive_pieces() {
    while (const auto one = pieces.receive()) {
      if (auto message = take(one->from, one->bytes)) return message;
    }
    return std::nullopt;
  }

  std::optional<Message> take(int from, std::span<const std::byte> bytes) {
    Peer& p = peer(from);
    if (p.gone || bytes.size() < head_bytes) return std::nullopt;
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), head_bytes);
    const PieceHead head = decode_head(word);
    bytes = bytes.subspan(head_bytes);
    p.under_way -= std::min(p.under_way, head.received);
    if (head.received > 0 && !p.queue.empty()) advance(from);
    if (head.kind == PieceKind::ack) return std::nullopt;
    // Before the sender has to wait for it. What is sent to it meanwhile says so, too.
    if (++p.to_ack >= (p.may_be_under_way + 1) / 2) acknowledge(from, p);
    if (head.kind == PieceKind::begin) {
      if (head.number == bytes.size()) return Message{from, bytes, nullptr};
      p.body.reserve(head.number);
      p.expected = head.number;
    }
    if (p.expected == 0) return std::nullopt;  // there was no memory for it
    append(p.body, bytes);
    moved = true;
    if (p.body.size() < p.expected) return std::nullopt;
    return hand_out(from, p);
  }

  const Session& session;
  std::shared_ptr<Nodes> nodes;
  std::unique_ptr<SharedMemory> lanes;
  Pieces pieces;
  std::vector<Peer> peers;
  std::vector<int> with_lane;  // ranks
  std::size_t next_lane = 0;   // in with_lane
  unsigned looks = 0;
  unsigned idle_looks = 0;    // since one that found something
  Lane* read_from = nullptr;  // where the message lies that was handed out last
  std::size_t read_bytes = 0;
  Bytes complete;                 // the message that was handed out last, if it was put together
  std::size_t ranks_waiting = 0;  // that have a queue
  Bytes piece;                    // scratch
  bool moved = false;             // in the last receive()
};

Mailbox::Mailbox(const Session& session) : impl_{std::make_unique<Impl>(session)} {}

Mailbox::~Mailbox() = default;

void Mailbox::send(int to, Packer& message, Shared rest) {
  if (impl_->peer(to).gone) {
    message.clear();
    return;
  }
  impl_->send(to, message.bytes_, std::move(rest));
  message.clear();
}

std::optional<Mailbox::Message> Mailbox::receive() { return impl_->receive(); }

void Mailbox::forget(int rank) {
  Impl::Peer& p = impl_->peer(rank);
  p.gone = true;
  if (!p.queue.empty()) --impl_->ranks_waiting;
  p.queue.clear();
  p.body = {};
  impl_->pieces.forget(rank);
}

bool Mailbox::has_moved() const { return impl_->moved; }

bool Mailbox::has_sent_all() const { return impl_->pieces.has_sent_all() && impl_->ranks_waiting == 0; }

}  // namespace echelon::comm
