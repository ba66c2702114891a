#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

#include <echelon/base/files.hpp>

namespace echelon::launch {

/// What the starter knows of its ranks by itself, without their launcher: each that has begun holds a connection
/// (tell_begun), which the kernel closes when the process dies. Nothing here waits, and nothing depends on time.
class RankWatch {
 public:
  struct Rank {
    pid_t process = 0;   ///< 0: it has not begun
    bool exits = false;  ///< it has called exit()
    bool has_ended = false;
  };

  /// For `ranks` ranks that know the token. Ranks of other hosts can come unless `within_host`.
  RankWatch(int ranks, std::string token, bool within_host);

  /// The value of watch_variable for the ranks; empty where nobody can come.
  [[nodiscard]] const std::string& place() const noexcept { return place_; }
  /// To be polled for reading.
  [[nodiscard]] int descriptor() const noexcept { return events_.get(); }
  /// Takes in what has come.
  void step();

  [[nodiscard]] const std::vector<Rank>& ranks() const noexcept { return ranks_; }
  /// Rank 0 has said so (tell_started).
  [[nodiscard]] bool have_started() const noexcept { return have_started_; }
  /// Those that have begun, and ended before that.
  [[nodiscard]] const std::vector<int>& ended_at_start() const noexcept { return ended_at_start_; }
  /// One of these was killed, so what others print from now on is of no use.
  [[nodiscard]] bool killed_at_start() const noexcept;

 private:
  struct Connection {
    base::Descriptor socket;
    std::string unread = {};  // the beginning of a line
    int rank = -1;            // until it has begun
  };

  void stop_listening();
  void accept_all();
  [[nodiscard]] bool watch(int descriptor) const;
  [[nodiscard]] bool read(Connection& connection);
  [[nodiscard]] bool take(Connection& connection, const std::string& line);
  void end(const Connection& connection);

  std::string token_;
  std::vector<Rank> ranks_;
  bool have_started_ = false;
  std::vector<int> ended_at_start_;
  std::string place_;
  base::Descriptor events_;
  base::Descriptor listener_;
  std::map<int, Connection> connections_;  // by descriptor
};

}  // namespace echelon::launch
