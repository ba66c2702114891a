#include "pieces.hpp"

#include <algorithm>
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

/// A setting of MPI's that is a number, as it is in this process; nullopt if this MPI has none of that name.
std::optional<std::uint64_t> setting(const char* name) {
  int index = 0;
  if (MPI_T_cvar_get_index(name, &index) != MPI_SUCCESS) return std::nullopt;
  int name_length = 0;
  int description_length = 0;
  int verbosity = 0;
  int binding = 0;
  int scope = 0;
  MPI_Datatype type = MPI_DATATYPE_NULL;
  MPI_T_enum values = MPI_T_ENUM_NULL;
  MPI_T_cvar_handle handle = MPI_T_CVAR_HANDLE_NULL;
  int count = 0;
  if (MPI_T_cvar_get_info(index, nullptr, &name_length, &verbosity, &type, &values, nullptr, &description_length,
                          &binding, &scope) != MPI_SUCCESS ||
      MPI_T_cvar_handle_alloc(index, nullptr, &handle, &count) != MPI_SUCCESS) {
    return std::nullopt;
  }
  int size = 0;
  MPI_Type_size(type, &size);
  std::int64_t value = 0;
  int narrow = 0;
  const bool is_int = size == sizeof(int);
  const bool read = count == 1 && (is_int || size == sizeof(value)) &&
                    MPI_T_cvar_read(handle, is_int ? static_cast<void*>(&narrow) : &value) == MPI_SUCCESS;
  MPI_T_cvar_handle_free(&handle);
  if (!read) return std::nullopt;
  if (is_int) value = narrow;
  return value < 0 ? UINT64_MAX : static_cast<std::uint64_t>(value);  // -1: no limit
}

}  // namespace

std::uint64_t pieces_in_shared_memory(const Session& session) {
  constexpr std::uint64_t usual = 512;           // Open MPI's own limit
  constexpr std::uint64_t bytes_a_piece = 8192;  // more than a piece takes, as other things lie there, too
  std::uint64_t least = usual;
  int provided = 0;
  if (MPI_T_init_thread(MPI_THREAD_SINGLE, &provided) == MPI_SUCCESS) {
    const auto take = [&](std::optional<std::uint64_t> limit) { least = std::min(least, limit.value_or(usual)); };
    for (const std::string part : {"btl_vader_", "btl_sm_"}) {  // of Open MPI 4, and 5
      take(setting((part + "free_list_max").c_str()));
      if (const auto segment = setting((part + "segment_size").c_str())) take(*segment / bytes_a_piece);
    }
    MPI_T_finalize();
  }
  const auto all = all_gather(session, least);
  return std::max<std::uint64_t>(1, *std::ranges::min_element(all));
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
