#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

#include <echelon/comm/session.hpp>

namespace echelon::comm {

/// For tests and trials: set to k, only each k ranks of a host share memory, as if each k had a node of their own.
inline constexpr const char* ranks_a_node_variable = "ECHELON_RANKS_A_NODE";

/// Which ranks share memory, and the memory itself. A node here is a set of ranks that MPI says share memory and that
/// have seen it work; where it does not, as between containers, each rank is a node.
class Nodes {
 public:
  /// One a session. Collective when it is called first.
  [[nodiscard]] static Nodes& of(const Session& session) { return *shared(session); }
  /// The same, to keep: what is made after it may go after it when the session ends.
  [[nodiscard]] static std::shared_ptr<Nodes> shared(const Session& session);

  explicit Nodes(const Session& session);
  ~Nodes();
  Nodes(const Nodes&) = delete;
  Nodes& operator=(const Nodes&) = delete;

  /// The lowest rank of the node of `rank`.
  [[nodiscard]] int leader(int rank) const { return leaders_[static_cast<std::size_t>(rank)]; }
  [[nodiscard]] bool is_here(int rank) const { return leader(rank) == leader(self_); }
  [[nodiscard]] int count() const noexcept { return count_; }
  [[nodiscard]] bool is_one() const noexcept { return count_ == 1; }
  /// This node has more ranks than CPUs that they may use: who waits yields at once.
  [[nodiscard]] bool is_crowded() const noexcept { return crowded_; }
  /// Of a rank of this node.
  [[nodiscard]] pid_t process(int rank) const;
  [[nodiscard]] const std::string& host(int rank) const { return hosts_[static_cast<std::size_t>(rank)]; }

  // ---- memory that is not known early enough to be set aside: anyone here reads what one wrote; by any thread ----

  /// Takes memory of this rank's for the bytes, and says where. Throws std::system_error where there is none.
  [[nodiscard]] std::uint64_t store(std::span<const std::byte> bytes);
  /// Reads what rank `from` of this node stored, and gives the memory back to the system.
  void take(int from, std::uint64_t where, std::span<std::byte> bytes);

 private:
  struct Impl;

  int self_;
  int count_ = 1;
  bool crowded_ = false;
  std::vector<int> leaders_;
  std::vector<std::string> hosts_;
  std::unique_ptr<Impl> impl_;
};

/// Memory that the ranks of a node share, all zeros at first; each node has one of its own. It goes when the last rank
/// does, however that ends.
class SharedMemory {
 public:
  /// Collective. `bytes` is the same on all ranks of a node. Throws std::runtime_error where a node has not so much
  /// memory.
  SharedMemory(const Session& session, std::uint64_t bytes);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  /// On a page's edge; the same bytes stand elsewhere in each rank.
  [[nodiscard]] std::byte* data() const noexcept { return data_; }

 private:
  std::byte* data_ = nullptr;
  std::uint64_t bytes_ = 0;
};

}  // namespace echelon::comm
