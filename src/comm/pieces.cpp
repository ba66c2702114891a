#include "pieces.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <utility>

#include <mpi.h>

#include <echelon/comm/collectives.hpp>

#include "session_impl.hpp"
#include "tags.hpp"

namespace echelon::comm {
namespace {

constexpr std::size_t receives = 64;  // posted at a time

/// MPI keeps the memory of messages to lost ranks for good.
std::deque<Bytes>& leaked() {
  static auto* bytes = new std::deque<Bytes>;
  return *bytes;
}

/// Open MPI's limit, by the name that its version 4 has for it, and its version 5. Its own value, so that nothing
/// changes; set, so that it is known: to ask MPI for it (MPI_T) takes 0.2 s.
constexpr std::array limits{"OMPI_MCA_btl_vader_free_list_max", "OMPI_MCA_btl_sm_free_list_max"};
constexpr int usual_limit = 512;

}  // namespace

void set_pieces_in_shared_memory() {
  for (const char* const limit : limits) setenv(limit, std::to_string(usual_limit).c_str(), 0);
}

std::uint64_t pieces_in_shared_memory(const Session& session) {
  int least = usual_limit;
  for (const char* const limit : limits) {
    const char* const text = std::getenv(limit);
    const int value = text == nullptr ? 0 : std::atoi(text);
    if (value > 0) least = std::min(least, value);  // -1: as many as there is memory for
  }
  const auto all = all_gather(session, least);
  return static_cast<std::uint64_t>(*std::ranges::min_element(all));
}

Pieces::Pieces(const Session& session)
    : session_{session}, channel_{duplicate(session.impl())}, ring_(session.size() > 1 ? receives : 0) {
  for (Receive& receive : ring_) post(receive);
}

Pieces::~Pieces() {
  for (Receive& receive : ring_) {
    // The one whose bytes were handed out last is not posted, and MPI ends a program for less.
    if (receive.request == MPI_REQUEST_NULL) continue;
    MPI_Cancel(&receive.request);
    MPI_Request_free(&receive.request);
  }
  if (!session_.lost().empty()) new boost::mpi::communicator{channel_};  // to free it would wait for the lost ones
  for (Sending& sending : under_way_) leaked().push_back(std::move(sending.bytes));
}

void Pieces::post(Receive& receive) {
  check(MPI_Irecv(receive.memory.data(), bytes, MPI_BYTE, MPI_ANY_SOURCE, static_cast<int>(Tag::piece), channel_,
                  &receive.request),
        "MPI_Irecv");
}

void Pieces::send(int to, Bytes& piece) {
  session_.impl().traffic->sent(to, piece.size());
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Isend(piece.data(), static_cast<int>(piece.size()), MPI_BYTE, to, static_cast<int>(Tag::piece), channel_,
                  &request),
        "MPI_Isend");
  int done = 0;
  check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
  if (done == 0) {
    under_way_.push_back({to, request, std::move(piece)});
    piece = {};
  }
  piece.clear();
}

/// Frees what MPI has sent. It looks at a few at a time, all in turn: some may be for a rank that has stopped.
void Pieces::free_sent() {
  for (std::size_t waiting = 0; waiting < 8 && waiting < under_way_.size();) {
    int done = 0;
    check(MPI_Test(&under_way_.front().request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done == 0) {
      under_way_.push_back(std::move(under_way_.front()));
      ++waiting;
    }
    under_way_.pop_front();
  }
}

std::optional<Pieces::Piece> Pieces::receive() {
  if (handed_out_ != nullptr) post(*std::exchange(handed_out_, nullptr));
  free_sent();
  if (ring_.empty()) return std::nullopt;
  Receive& next = ring_[next_];  // MPI fills them in the order in which they were posted
  int done = 0;
  MPI_Status status{};
  check(MPI_Test(&next.request, &done, &status), "MPI_Test");
  if (done == 0) return std::nullopt;
  next_ = (next_ + 1) % ring_.size();
  int size = 0;
  MPI_Get_count(&status, MPI_BYTE, &size);
  handed_out_ = &next;
  return Piece{status.MPI_SOURCE, std::span{next.memory}.first(static_cast<std::size_t>(size))};
}

void Pieces::forget(int rank) {
  for (auto sending = under_way_.begin(); sending != under_way_.end();) {
    if (sending->to != rank) {
      ++sending;
      continue;
    }
    leaked().push_back(std::move(sending->bytes));
    sending = under_way_.erase(sending);
  }
}

}  // namespace echelon::comm
