#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <echelon/comm/session.hpp>

namespace echelon::comm {

/// Everything here is collective: all ranks call it, in the same order.
/// Failures of MPI are thrown as exceptions derived from std::exception.

namespace detail {
void broadcast_bytes(const Session& session, void* value, std::size_t bytes);
void scatter_bytes(const Session& session, const void* all, void* mine, std::size_t bytes_a_rank);
void gather_bytes(const Session& session, const void* mine, void* all, std::size_t bytes_a_rank);
void all_gather_bytes(const Session& session, const void* mine, void* all, std::size_t bytes_a_rank);
}  // namespace detail

/// All ranks get what the master has.
template <typename T>
requires std::is_trivially_copyable_v<T>
[[nodiscard]] T broadcast(const Session& session, T value) {
  detail::broadcast_bytes(session, &value, sizeof(T));
  return value;
}

/// Rank i gets element i of what the master has; `all` has size() elements on the master and is not read elsewhere.
template <typename T>
requires std::is_trivially_copyable_v<T>
[[nodiscard]] T scatter(const Session& session, std::span<const T> all) {
  T mine{};
  detail::scatter_bytes(session, all.data(), &mine, sizeof(T));
  return mine;
}

/// The master gets every rank's value, by rank; the others get nothing.
template <typename T>
requires std::is_trivially_copyable_v<T>
[[nodiscard]] std::vector<T> gather(const Session& session, const T& mine) {
  std::vector<T> all(session.is_master() ? static_cast<std::size_t>(session.size()) : 0);
  detail::gather_bytes(session, &mine, all.data(), sizeof(T));
  return all;
}

/// All ranks get every rank's value, by rank. Who waits for the others does so as in Session::barrier().
template <typename T>
requires std::is_trivially_copyable_v<T>
[[nodiscard]] std::vector<T> all_gather(const Session& session, const T& mine) {
  std::vector<T> all(static_cast<std::size_t>(session.size()));
  detail::all_gather_bytes(session, &mine, all.data(), sizeof(T));
  return all;
}

/// As gather(), for texts of any lengths.
[[nodiscard]] std::vector<std::string> gather(const Session& session, const std::string& mine);

/// Adds up element by element (MPI_SUM); the master gets the sum, the others keep what they had.
void reduce_sum(const Session& session, std::span<std::int64_t> values);
/// The largest, element by element, in the same way.
void reduce_max(const Session& session, std::span<double> values);

}  // namespace echelon::comm
