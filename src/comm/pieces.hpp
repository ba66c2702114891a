#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include <boost/mpi/communicator.hpp>

#include <echelon/comm/packing.hpp>
#include <echelon/comm/session.hpp>

namespace echelon::comm {

/// Before MPI starts: Open MPI takes the number of pieces below from here, unless the user has set another.
void set_pieces_in_shared_memory();
/// How many pieces of `Pieces::bytes` MPI's shared memory holds for one rank at a time, sent and not yet received. The
/// least of all ranks. Collective.
[[nodiscard]] std::uint64_t pieces_in_shared_memory(const Session& session);

/// Short messages over MPI, each sent eagerly, that is without asking the receiver first: a receiver that dies leaves
/// nothing half done.
class Pieces {
 public:
  /// What Open MPI sends eagerly by shared memory (btl_vader_eager_limit, btl_sm_eager_limit: 4096 bytes with a header
  /// of its own), which is the least of its transports.
  static constexpr std::size_t bytes = 4000;

  /// Valid until the next receive().
  struct Piece {
    int from;
    std::span<const std::byte> bytes;
  };

  /// Collective; with a communicator of its own.
  explicit Pieces(const Session& session);
  ~Pieces();
  Pieces(const Pieces&) = delete;
  Pieces& operator=(const Pieces&) = delete;

  /// At most `bytes`. They are empty afterwards, and keep their memory unless MPI still needs it.
  void send(int to, Bytes& piece);
  [[nodiscard]] std::optional<Piece> receive();

  /// This rank is lost.
  void forget(int rank);
  [[nodiscard]] bool has_sent_all() const noexcept { return under_way_.empty(); }

 private:
  struct Sending {
    int to;
    MPI_Request request;
    Bytes bytes;
  };
  struct Receive {
    MPI_Request request = MPI_REQUEST_NULL;
    std::array<std::byte, bytes> memory;
  };

  void post(Receive& receive);
  void free_sent();

  const Session& session_;
  boost::mpi::communicator channel_;
  std::vector<Receive> ring_;
  std::size_t next_ = 0;
  Receive* handed_out_ = nullptr;  // not posted: its bytes are the caller's until the next receive()
  std::deque<Sending> under_way_;
};

}  // namespace echelon::comm
