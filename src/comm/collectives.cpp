#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include <echelon/base/number.hpp>
#include <echelon/comm/collectives.hpp>

#include "session_impl.hpp"

namespace echelon::comm {
namespace {

/// What MPI reads and writes.
struct Buffers {
  std::vector<char> sent;
  std::vector<char> received = {};
};

/// Starts a collective and waits for it as Session::barrier() does, so that a rank that is lost ends the wait. Then
/// ranks that come later still send, and MPI still writes: to memory that stays for that.
template <typename Start>
void run(const Session& session, const char* call, std::unique_ptr<Buffers>& buffers, Start start) {
  const std::uint64_t number = enter(session.impl());
  MPI_Request request = MPI_REQUEST_NULL;
  check(start(session.impl().world, &request), call);
  Buffers* const in_use = buffers.release();
  wait(session.impl(), request, number);
  buffers.reset(in_use);
}

std::unique_ptr<Buffers> buffers_for(const void* sent, std::size_t sent_bytes, std::size_t received_bytes) {
  const char* const begin = static_cast<const char*>(sent);
  auto buffers = std::make_unique<Buffers>();
  if (sent_bytes > 0) buffers->sent.assign(begin, begin + sent_bytes);
  buffers->received.resize(received_bytes);
  return buffers;
}

void copy_out(const Buffers& buffers, void* to) {
  if (!buffers.received.empty()) std::memcpy(to, buffers.received.data(), buffers.received.size());
}

std::size_t size_on(const Session& session, bool has_all, std::size_t bytes_a_rank) {
  return has_all ? static_cast<std::size_t>(session.size()) * bytes_a_rank : 0;
}

template <typename T>
void reduce(const Session& session, std::span<T> values, MPI_Datatype type, MPI_Op operation) {
  const int count = base::checked_cast<int>(values.size());  // before memory is taken for as many
  session.impl().traffic->sent(master, values.size_bytes());
  auto buffers = buffers_for(values.data(), values.size_bytes(), session.is_master() ? values.size_bytes() : 0);
  run(session, "MPI_Ireduce", buffers, [&](MPI_Comm world, MPI_Request* request) {
    return MPI_Ireduce(buffers->sent.data(), buffers->received.data(), count, type, operation, master, world, request);
  });
  copy_out(*buffers, values.data());
}

void gather_uncounted(const Session& session, const void* mine, void* all, std::size_t bytes_a_rank) {
  const int count = base::checked_cast<int>(bytes_a_rank);
  auto buffers = buffers_for(mine, bytes_a_rank, size_on(session, session.is_master(), bytes_a_rank));
  run(session, "MPI_Igather", buffers, [&](MPI_Comm world, MPI_Request* request) {
    return MPI_Igather(buffers->sent.data(), count, MPI_BYTE, buffers->received.data(), count, MPI_BYTE, master, world,
                       request);
  });
  copy_out(*buffers, all);
}

}  // namespace

void detail::broadcast_bytes(const Session& session, void* value, std::size_t bytes) {
  const int count = base::checked_cast<int>(bytes);
  if (session.is_master()) session.impl().traffic->sent_to_all(bytes);
  auto buffers = buffers_for(nullptr, 0, bytes);
  std::memcpy(buffers->received.data(), value, bytes);
  run(session, "MPI_Ibcast", buffers, [&](MPI_Comm world, MPI_Request* request) {
    return MPI_Ibcast(buffers->received.data(), count, MPI_BYTE, master, world, request);
  });
  copy_out(*buffers, value);
}

void detail::scatter_bytes(const Session& session, const void* all, void* mine, std::size_t bytes_a_rank) {
  const int count = base::checked_cast<int>(bytes_a_rank);
  if (session.is_master()) session.impl().traffic->sent_to_each(bytes_a_rank);
  auto buffers = buffers_for(all, size_on(session, session.is_master(), bytes_a_rank), bytes_a_rank);
  run(session, "MPI_Iscatter", buffers, [&](MPI_Comm world, MPI_Request* request) {
    return MPI_Iscatter(buffers->sent.data(), count, MPI_BYTE, buffers->received.data(), count, MPI_BYTE, master, world,
                        request);
  });
  copy_out(*buffers, mine);
}

void detail::gather_bytes(const Session& session, const void* mine, void* all, std::size_t bytes_a_rank) {
  session.impl().traffic->sent(master, bytes_a_rank);
  gather_uncounted(session, mine, all, bytes_a_rank);
}

void detail::all_gather_bytes(const Session& session, const void* mine, void* all, std::size_t bytes_a_rank) {
  const int count = base::checked_cast<int>(bytes_a_rank);
  session.impl().traffic->sent_to_all(bytes_a_rank);
  auto buffers = buffers_for(mine, bytes_a_rank, size_on(session, true, bytes_a_rank));
  run(session, "MPI_Iallgather", buffers, [&](MPI_Comm world, MPI_Request* request) {
    return MPI_Iallgather(buffers->sent.data(), count, MPI_BYTE, buffers->received.data(), count, MPI_BYTE, world,
                          request);
  });
  copy_out(*buffers, all);
}

std::vector<std::string> gather(const Session& session, const std::string& mine) {
  const int size = base::checked_cast<int>(mine.size());
  std::vector<int> sizes(session.is_master() ? static_cast<std::size_t>(session.size()) : 0);
  gather_uncounted(session, &size, sizes.data(), sizeof(int));
  std::vector<int> begins;
  int end = 0;
  for (const int one : sizes) {
    begins.push_back(end);
    end = base::checked_cast<int>(std::int64_t{end} + one);
  }
  session.impl().traffic->sent(master, mine.size());
  auto buffers = buffers_for(mine.data(), mine.size(), static_cast<std::size_t>(end));
  // MPI reads these, too, until it is done.
  auto* const counts = new std::pair{sizes, begins};
  run(session, "MPI_Igatherv", buffers, [&](MPI_Comm world, MPI_Request* request) {
    return MPI_Igatherv(buffers->sent.data(), size, MPI_BYTE, buffers->received.data(), counts->first.data(),
                        counts->second.data(), MPI_BYTE, master, world, request);
  });
  delete counts;
  std::vector<std::string> all;
  for (std::size_t rank = 0; rank < sizes.size(); ++rank) {
    all.emplace_back(buffers->received.data() + begins[rank], static_cast<std::size_t>(sizes[rank]));
  }
  return all;
}

void reduce_sum(const Session& session, std::span<std::int64_t> values) {
  reduce(session, values, MPI_INT64_T, MPI_SUM);
}

void reduce_max(const Session& session, std::span<double> values) { reduce(session, values, MPI_DOUBLE, MPI_MAX); }

}  // namespace echelon::comm
