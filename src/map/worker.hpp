#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <echelon/comm/packing.hpp>
#include <echelon/comm/session.hpp>
#include <echelon/command/helper.hpp>
#include <echelon/farm/worker.hpp>
#include <echelon/measure/account.hpp>

#include "spool.hpp"
#include "wire.hpp"

namespace echelon::map {

/// The worker's end: has its commands run, one after the other, and keeps their output until the master has it.
class Worker {
 public:
  using Send = std::function<void(comm::Packer& message)>;

  /// `environment`: of all commands of this rank, besides the helper's.
  Worker(command::Helper& helper, const comm::Session& session, std::vector<std::string> environment,
         measure::Account& account, Send send);

  /// A message from the master.
  void take(comm::Unpacker message);
  /// Goes on with what it has; false where there was nothing to do now.
  bool step();
  /// As farm::Worker's: on any thread.
  [[nodiscard]] std::uint64_t take_back(std::uint64_t upto) noexcept { return farm_.take_back(upto); }

  [[nodiscard]] bool has_command() const noexcept { return running_.has_value(); }
  /// The master has said so.
  [[nodiscard]] bool is_leaving() const noexcept { return leaving_; }
  [[nodiscard]] bool lost_some() const noexcept { return lost_some_; }

 private:
  struct Outputs {
    Spool output;
    Spool errors;
  };
  struct Running {
    farm::Chunk task;
    TaskText text;
  };

  void start(const farm::Chunk& task);
  void finish(const command::Report& report, const command::Printed& printed);
  void make_place();

  command::Helper& helper_;
  const comm::Session& session_;
  std::vector<std::string> environment_;
  measure::Account& account_;
  Send send_;
  farm::Worker farm_;
  std::map<std::uint64_t, TaskText> texts_;  // by sequence, of what has not begun
  std::deque<farm::Chunk> begun_;            // and is to be run
  std::optional<Running> running_;
  std::optional<std::chrono::nanoseconds> limit_;
  std::optional<Outputs> place_;           // for what the running command prints, where that is much
  std::string no_place_;                   // why there is none
  std::map<std::uint64_t, Outputs> kept_;  // by sequence, until they are released
  bool ending_ = false;                    // nothing is started any more
  bool leaving_ = false;
  bool lost_some_ = false;
};

}  // namespace echelon::map
