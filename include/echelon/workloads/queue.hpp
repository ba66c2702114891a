#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <echelon/comm/session.hpp>
#include <echelon/measure/record.hpp>
#include <echelon/workloads/account.hpp>

namespace echelon::workloads {

/// Items through one shared::Queue, from the first ranks to the others.
struct QueueOptions {
  static constexpr std::uint64_t max_items = std::uint64_t{1} << 40;
  static constexpr std::uint64_t min_item_bytes = 8;  ///< its producer and its number
  static constexpr std::uint64_t max_item_bytes = std::uint64_t{1} << 30;
  static constexpr std::uint64_t max_capacity = std::uint64_t{1} << 24;

  std::uint64_t items = 1'000'000;                        ///< of all producers together
  std::optional<std::uint64_t> producers = std::nullopt;  ///< the first so many ranks; nothing: half of them
  std::uint64_t capacity = 1024;
  std::uint64_t item_bytes = 8;
  std::uint64_t repeat = 1;

  [[nodiscard]] std::uint64_t producers_of(std::uint64_t ranks) const {
    return producers.value_or(ranks < 4 ? 1 : ranks / 2);
  }
};

/// Each item carries its producer and its number in all of its bytes: who takes it sees whether it is whole and in its
/// producer's order, and the sums of what was put and of what was taken show whether each came once.
///
/// Putting and taking is communicate, with what a rank waits in it for room or for an item: to tell that apart would
/// take as long as the item itself. Barriers are wait, and nothing is compute. A rank's items are those that it put or
/// took.
///
/// The master gets the record; the other ranks an empty one. `progress` is called on the master. Throws
/// base::UsageError where no rank is left to consume. Collective.
[[nodiscard]] measure::Record run_queue(const comm::Session& session, Account& account,
                                        const std::vector<std::string>& argv, const QueueOptions& options,
                                        const Progress& progress);

/// Whether each item was taken once, whole, and in its producer's order, in every repetition.
[[nodiscard]] bool queue_is_right(const measure::Record& record);

}  // namespace echelon::workloads
