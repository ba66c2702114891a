#include <algorithm>
#include <cstring>
#include <functional>

#include <boost/mpi/collectives.hpp>
#include <boost/mpi/operations.hpp>

#include <echelon/base/number.hpp>
#include <echelon/comm/collectives.hpp>

#include "session_impl.hpp"

namespace echelon::comm {
namespace {

constexpr int master = 0;

template <typename T, typename Operation>
void reduce(const Session& session, std::span<T> values, Operation operation) {
  const int count = base::checked_cast<int>(values.size());  // before memory is taken for as many
  session.impl().traffic->sent(master, values.size_bytes());
  std::vector<T> results(session.is_master() ? values.size() : 0);
  boost::mpi::reduce(session.impl().world, values.data(), count, results.data(), operation, master);
  std::ranges::copy(results, values.begin());
}

}  // namespace

void detail::broadcast_bytes(const Session& session, void* value, std::size_t bytes) {
  if (session.is_master()) session.impl().traffic->sent_to_all(bytes);
  boost::mpi::broadcast(session.impl().world, static_cast<char*>(value), base::checked_cast<int>(bytes), master);
}

void detail::scatter_bytes(const Session& session, const void* all, void* mine, std::size_t bytes_a_rank) {
  if (session.is_master()) session.impl().traffic->sent_to_each(bytes_a_rank);
  boost::mpi::scatter(session.impl().world, static_cast<const char*>(all), static_cast<char*>(mine),
                      base::checked_cast<int>(bytes_a_rank), master);
}

void detail::gather_bytes(const Session& session, const void* mine, void* all, std::size_t bytes_a_rank) {
  session.impl().traffic->sent(master, bytes_a_rank);
  boost::mpi::gather(session.impl().world, static_cast<const char*>(mine), base::checked_cast<int>(bytes_a_rank),
                     static_cast<char*>(all), master);
}

void detail::all_gather_bytes(const Session& session, const void* mine, void* all, std::size_t bytes_a_rank) {
  const int bytes = base::checked_cast<int>(bytes_a_rank);
  session.impl().traffic->sent_to_all(bytes_a_rank);
  // Where waiting throws, ranks that come later still send and MPI still writes: to memory that stays for that.
  auto* buffer = new std::vector<char>((static_cast<std::size_t>(session.size()) + 1) * bytes_a_rank);
  char* own = buffer->data();
  char* gathered = own + bytes_a_rank;
  if (bytes_a_rank > 0) std::memcpy(own, mine, bytes_a_rank);
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Iallgather(own, bytes, MPI_BYTE, gathered, bytes, MPI_BYTE, session.impl().world, &request),
        "MPI_Iallgather");
  wait(session.impl(), request);
  if (bytes_a_rank > 0) std::memcpy(all, gathered, buffer->size() - bytes_a_rank);
  delete buffer;
}

std::vector<std::string> gather(const Session& session, const std::string& mine) {
  session.impl().traffic->sent(master, mine.size());
  std::vector<std::string> all;
  boost::mpi::gather(session.impl().world, mine, all, master);
  return all;
}

void reduce_sum(const Session& session, std::span<std::int64_t> values) {
  reduce(session, values, std::plus<std::int64_t>{});
}

void reduce_max(const Session& session, std::span<double> values) {
  reduce(session, values, boost::mpi::maximum<double>{});
}

}  // namespace echelon::comm
