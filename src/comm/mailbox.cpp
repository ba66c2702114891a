#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <vector>

#include <echelon/comm/mailbox.hpp>

#include "session_impl.hpp"
#include "tags.hpp"

namespace echelon::comm {
namespace {

/// What Open MPI sends eagerly by shared memory (btl_vader_eager_limit, 4096 bytes with its own header), which is the
/// least of its transports.
constexpr std::size_t piece_bytes = 4000;
constexpr std::size_t receives = 64;  // posted at a time
/// Pieces of long messages under way to one rank. At first only as many as may lie unread in the memory that all ranks
/// of the host share (512 pieces by default) while many of them compute; to one that reads, twice as many with each
/// acknowledgement. 64 throughout gave 0.4 of the bandwidth where ranks take turns on a core.
constexpr std::uint64_t first_under_way = 8;
constexpr std::uint64_t most_under_way = 512;
/// After how many pieces the receiver says so.
constexpr std::uint64_t pieces_an_ack = 4;

enum class PieceKind : std::uint64_t {
  begin = 0,  // of a message; the number is its length
  more = 1,   // the next piece of it
  ack = 2,    // so many pieces have come
};

struct PieceHead {
  PieceKind kind;
  std::uint64_t number;
};
constexpr int kind_shift = 62;

std::uint64_t encode_head(PieceHead head) { return static_cast<std::uint64_t>(head.kind) << kind_shift | head.number; }
PieceHead decode_head(std::uint64_t word) {
  return {static_cast<PieceKind>(word >> kind_shift), word & ((std::uint64_t{1} << kind_shift) - 1)};
}
constexpr std::size_t head_bytes = sizeof(std::uint64_t);

}  // namespace

struct Mailbox::Impl {
  struct Outgoing {
    Bytes bytes;  // head included
    std::size_t sent = 0;
  };
  struct Peer {
    std::deque<Outgoing> queue;   // not yet, or not wholly, given to MPI
    std::uint64_t under_way = 0;  // pieces not acknowledged
    std::uint64_t may_be_under_way = first_under_way;
    bool gone = false;
    Bytes body;                  // of a message of which not all pieces have come
    std::uint64_t expected = 0;  // bytes of it; 0: none is coming
    std::uint64_t to_ack = 0;
  };
  struct Sending {
    int to;
    MPI_Request request;
    Bytes bytes;
  };
  struct Receive {
    MPI_Request request = MPI_REQUEST_NULL;
    std::array<std::byte, piece_bytes> bytes;
  };

  explicit Impl(const Session& of)
      : session{of},
        channel{duplicate(session.impl())},
        peers(static_cast<std::size_t>(session.size())),
        ring(session.size() > 1 ? receives : 0) {
    for (Receive& receive : ring) post(receive);
  }

  ~Impl() {
    for (Receive& receive : ring) {
      // Whose message was handed out last is not posted, and MPI ends a program for less.
      if (receive.request == MPI_REQUEST_NULL) continue;
      MPI_Cancel(&receive.request);
      MPI_Request_free(&receive.request);
    }
    if (!session.lost().empty()) new boost::mpi::communicator{channel};  // to free it would wait for the lost ones
    // What MPI still holds of messages to lost ranks is never given back.
    for (Sending& sending : under_way) leaked().push_back(std::move(sending.bytes));
  }

  static std::deque<Bytes>& leaked() {
    static auto* bytes = new std::deque<Bytes>;
    return *bytes;
  }

  Peer& peer(int rank) { return peers[static_cast<std::size_t>(rank)]; }

  void post(Receive& receive) {
    check(MPI_Irecv(receive.bytes.data(), piece_bytes, MPI_BYTE, MPI_ANY_SOURCE, static_cast<int>(Tag::piece), channel,
                    &receive.request),
          "MPI_Irecv");
  }

  /// The bytes are empty afterwards, and keep their memory where MPI does not need it any more.
  void send_piece(int to, Bytes& bytes) {
    session.impl().traffic->sent(to, bytes.size());
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Isend(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, to, static_cast<int>(Tag::piece), channel,
                    &request),
          "MPI_Isend");
    int done = 0;
    check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done == 0) {
      under_way.push_back({to, request, std::move(bytes)});
      bytes = {};
    }
    bytes.clear();
  }

  void send(int to, Bytes& bytes) {
    Peer& p = peer(to);
    const std::uint64_t word = encode_head({PieceKind::begin, bytes.size() - head_bytes});
    std::memcpy(bytes.data(), &word, head_bytes);
    if (p.queue.empty() && bytes.size() <= piece_bytes) {
      send_piece(to, bytes);
      return;
    }
    if (p.queue.empty()) ++ranks_waiting;
    p.queue.push_back({std::move(bytes), 0});
    bytes = {};
    advance(to);
  }

  /// Gives MPI as much of what is queued for a rank as may be under way; when more may be, the rank says so.
  /// @pre something is queued
  void advance(int to) {
    Peer& p = peer(to);
    while (!p.queue.empty()) {
      Outgoing& message = p.queue.front();
      if (message.sent == 0 && message.bytes.size() <= piece_bytes) {
        send_piece(to, message.bytes);
        p.queue.pop_front();
        continue;
      }
      if (p.under_way >= p.may_be_under_way) return;
      const bool begins = message.sent == 0;
      const std::size_t count =
          std::min(message.bytes.size() - message.sent, begins ? piece_bytes : piece_bytes - head_bytes);
      piece.clear();
      if (!begins) {
        const std::uint64_t word = encode_head({PieceKind::more, 0});
        piece.resize(head_bytes);
        std::memcpy(piece.data(), &word, head_bytes);
      }
      const std::size_t at = piece.size();
      piece.resize(at + count);
      std::memcpy(piece.data() + at, message.bytes.data() + message.sent, count);
      send_piece(to, piece);
      moved = true;
      ++p.under_way;
      message.sent += count;
      if (message.sent < message.bytes.size()) continue;
      p.queue.pop_front();
      p.may_be_under_way = first_under_way;
    }
    --ranks_waiting;
  }

  /// Frees what MPI has sent. It looks at a few at a time, all in turn: some may be for a rank that has stopped.
  void clear_away() {
    for (std::size_t waiting = 0; waiting < 8 && waiting < under_way.size();) {
      int done = 0;
      check(MPI_Test(&under_way.front().request, &done, MPI_STATUS_IGNORE), "MPI_Test");
      if (done == 0) {
        under_way.push_back(std::move(under_way.front()));
        ++waiting;
      }
      under_way.pop_front();
    }
  }

  void acknowledge(int to, std::uint64_t pieces) {
    const std::uint64_t word = encode_head({PieceKind::ack, pieces});
    piece.resize(head_bytes);
    std::memcpy(piece.data(), &word, head_bytes);
    send_piece(to, piece);
  }

  std::optional<Message> receive() {
    moved = false;
    if (handed_out != nullptr) post(*std::exchange(handed_out, nullptr));
    if (!complete.empty()) complete = {};
    clear_away();
    if (ring.empty()) return std::nullopt;
    for (;;) {
      // MPI fills them in the order in which they were posted.
      Receive& next = ring[head];
      int done = 0;
      MPI_Status status{};
      check(MPI_Test(&next.request, &done, &status), "MPI_Test");
      if (done == 0) return std::nullopt;
      head = (head + 1) % ring.size();
      int size = 0;
      MPI_Get_count(&status, MPI_BYTE, &size);
      handed_out = &next;
      if (auto message = take(status.MPI_SOURCE, std::span{next.bytes}.first(static_cast<std::size_t>(size)))) {
        return message;
      }
      post(*std::exchange(handed_out, nullptr));
    }
  }

  std::optional<Message> take(int from, std::span<const std::byte> bytes) {
    Peer& p = peer(from);
    if (p.gone || bytes.size() < head_bytes) return std::nullopt;
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), head_bytes);
    const PieceHead h = decode_head(word);
    bytes = bytes.subspan(head_bytes);
    switch (h.kind) {
      case PieceKind::ack:
        p.under_way -= std::min(p.under_way, h.number);
        p.may_be_under_way = std::min(2 * p.may_be_under_way, most_under_way);
        if (!p.queue.empty()) advance(from);
        return std::nullopt;
      case PieceKind::begin:
        if (h.number == bytes.size()) return Message{from, bytes, nullptr};
        p.body.reserve(h.number);
        p.expected = h.number;
        break;
      case PieceKind::more:
        if (p.expected == 0) return std::nullopt;  // there was no memory for it
        break;
    }
    p.body.insert(p.body.end(), bytes.begin(), bytes.end());
    ++p.to_ack;
    moved = true;
    const bool is_complete = p.body.size() >= p.expected;
    if (p.to_ack >= pieces_an_ack || is_complete) acknowledge(from, std::exchange(p.to_ack, 0));
    if (!is_complete) return std::nullopt;
    complete = std::exchange(p.body, {});
    p.expected = 0;
    return Message{from, complete, &complete};
  }

  const Session& session;
  boost::mpi::communicator channel;
  std::vector<Peer> peers;
  std::vector<Receive> ring;
  std::size_t head = 0;
  Receive* handed_out = nullptr;  // not posted: its bytes are the caller's until the next receive()
  Bytes complete;                 // the same, of a message in pieces
  std::deque<Sending> under_way;
  std::size_t ranks_waiting = 0;  // that have a queue
  Bytes piece;                    // scratch
  bool moved = false;             // in the last receive()
};

Mailbox::Mailbox(const Session& session) : impl_{std::make_unique<Impl>(session)} {}

Mailbox::~Mailbox() = default;

void Mailbox::send(int to, Packer& message) {
  if (impl_->peer(to).gone) {
    message.clear();
    return;
  }
  impl_->send(to, message.bytes_);
  message.clear();
}

std::optional<Mailbox::Message> Mailbox::receive() { return impl_->receive(); }

void Mailbox::forget(int rank) {
  Impl::Peer& p = impl_->peer(rank);
  p.gone = true;
  if (!p.queue.empty()) --impl_->ranks_waiting;
  p.queue.clear();
  p.body = {};
  // MPI keeps what it has been given.
  for (auto sending = impl_->under_way.begin(); sending != impl_->under_way.end();) {
    if (sending->to != rank) {
      ++sending;
      continue;
    }
    Impl::leaked().push_back(std::move(sending->bytes));
    sending = impl_->under_way.erase(sending);
  }
}

bool Mailbox::has_moved() const { return impl_->moved; }

bool Mailbox::has_sent_all() const { return impl_->under_way.empty() && impl_->ranks_waiting == 0; }

}  // namespace echelon::comm
