#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <echelon/comm/session.hpp>
#include <echelon/measure/record.hpp>
#include <echelon/workloads/account.hpp>

namespace echelon::workloads {

/// One file that every rank appends lines to, under a shared::Lock.
struct LogOptions {
  std::uint64_t lines = 1000;  ///< a rank
  std::string file = {};       ///< what it is called when it is checked
  std::uint64_t repeat = 1;    ///< the file is begun anew each time
};

/// What the file is called until every line in it was checked, and stays where one is wrong.
[[nodiscard]] std::string partial_log(const std::string& file);

/// Each line is one write(2) at the file's end. Then the master reads the file, and looks for every line of every rank:
/// once, whole, and in its rank's order. Where ranks are of several nodes, their file system has to append at the end
/// that another node has written; the check says where it does not.
///
/// Writing is compute, for it is what this is done for; waiting for the lock and at barriers is wait; the master's
/// reading is communicate. A rank's items are its lines.
///
/// The master gets the record; the other ranks an empty one. `progress` is called on the master. Throws
/// std::runtime_error on the rank that cannot write; what was written is gone then. Collective.
[[nodiscard]] measure::Record run_log(const comm::Session& session, Account& account,
                                      const std::vector<std::string>& argv, const LogOptions& options,
                                      const Progress& progress);

/// Whether every line of every rank was there once, whole, and nothing else, in every repetition.
[[nodiscard]] bool log_is_right(const measure::Record& record);

}  // namespace echelon::workloads
