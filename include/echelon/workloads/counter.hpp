#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <echelon/comm/session.hpp>
#include <echelon/measure/record.hpp>
#include <echelon/workloads/account.hpp>

namespace echelon::workloads {

/// One counter, a shared::Value, that every rank increments.
struct CounterOptions {
  enum class Method {
    atomic,  ///< fetch_add: one step
    lock,    ///< load, add, store, under a shared::Lock
  };

  std::uint64_t increments = 1'000'000;  ///< a rank
  Method method = Method::atomic;
  std::uint64_t repeat = 1;
};

/// Incrementing is communicate, with what a rank waits in it for the lock: to tell that apart would take as long as the
/// increment itself. Barriers are wait, and nothing is compute. A rank's items are its increments.
///
/// The master gets the record; the other ranks an empty one. `progress` is called on the master. Collective.
[[nodiscard]] measure::Record run_counter(const comm::Session& session, Account& account,
                                          const std::vector<std::string>& argv, const CounterOptions& options,
                                          const Progress& progress);

/// Whether the counter was exactly the increments times the ranks, in every repetition.
[[nodiscard]] bool counter_is_right(const measure::Record& record);

}  // namespace echelon::workloads
