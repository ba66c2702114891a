#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include <echelon/base/death.hpp>
#include <echelon/base/files.hpp>

namespace echelon::launch {

/// What the starter knows of its ranks by itself, without their launcher: each that has begun holds a connection
/// (rank_report.hpp), by which it tells what it has to tell, and which the kernel closes when the process dies. Nothing
/// here waits, and nothing depends on time.
class RankWatch {
 public:
  struct Rank {
    pid_t process = 0;              ///< 0: it has not begun
    std::string host = {};          ///< its name
    std::optional<int> exits = {};  ///< the status, if it has called exit()
    bool has_ended = false;
  };
  struct Abort {
    int rank;
    int status;
    bool is_explained;  ///< the rank has printed why
  };

  /// For `ranks` ranks that know the token. Ranks of other hosts can come unless `within_host`.
  RankWatch(int ranks, std::string token, bool within_host);

  /// The value of watch_variable for the ranks; empty if nobody can come.
  [[nodiscard]] const std::string& place() const noexcept { return place_; }
  /// To be polled for reading.
  [[nodiscard]] int descriptor() const noexcept { return events_.get(); }
  /// Takes in what has come.
  void step();

  [[nodiscard]] const std::vector<Rank>& ranks() const noexcept { return ranks_; }
  /// Those that have not begun.
  [[nodiscard]] std::vector<int> missing() const;
  /// Rank 0 has said so (tell_started).
  [[nodiscard]] bool have_started() const noexcept { return have_started_; }
  /// Those that have begun, and ended before that.
  [[nodiscard]] const std::vector<int>& ended_at_start() const noexcept { return ended_at_start_; }
  /// One of these was killed, so what others print from now on is of no use.
  [[nodiscard]] bool killed_at_start() const noexcept;
  /// The first rank that ended without a call of exit(). Those that the launcher ends because of it come later.
  [[nodiscard]] std::optional<int> first_killed() const noexcept { return first_killed_; }
  /// How that rank ended. May wait a moment for the kernel.
  [[nodiscard]] base::Death death(int rank) { return deaths_.ended(rank); }

  // What ranks have told (rank_report.hpp).
  [[nodiscard]] std::optional<int> outcome() const noexcept { return outcome_; }
  [[nodiscard]] const std::vector<std::string>& reasons() const noexcept { return reasons_; }
  [[nodiscard]] const std::optional<Abort>& abort() const noexcept { return abort_; }
  [[nodiscard]] bool is_out_of_reach() const noexcept { return is_out_of_reach_; }

  /// Tells rank 0, over its connection, of a request to stop on behalf of this signal.
  void ask_to_stop(int signal) const noexcept;

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
  [[nodiscard]] bool begin(Connection& connection, const std::string& line);
  void end(const Connection& connection);

  std::string token_;
  std::vector<Rank> ranks_;
  bool have_started_ = false;
  std::vector<int> ended_at_start_;
  std::optional<int> first_killed_;
  std::optional<int> outcome_;
  std::vector<std::string> reasons_;
  std::optional<Abort> abort_;
  bool is_out_of_reach_ = false;
  std::string place_;
  std::string own_loopback_;
  base::DeathWatch deaths_;
  base::Descriptor events_;
  base::Descriptor listener_;
  std::map<int, Connection> connections_;  // by descriptor
};

}  // namespace echelon::launch
