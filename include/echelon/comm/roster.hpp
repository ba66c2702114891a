#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <echelon/base/error.hpp>
#include <echelon/comm/session.hpp>

namespace echelon::comm {

/// A rank that others count on has died, was stopped for longer than a heartbeat, or has left in the middle.
class RankLost : public std::runtime_error {
 public:
  RankLost(int lost, const std::string& why) : std::runtime_error{why}, rank{lost} {}
  int rank;
};

/// Which ranks are alive, as every rank knows it: the master watches over all (see LivenessMonitor), and tells the
/// others who is lost. The master's own loss is seen by each. From the first use on, whoever waits in this session for
/// all ranks (barrier, all_gather) throws RankLost where one is lost.
class Roster {
 public:
  /// One a session. Collective when it is called first. Where all ranks do so when they start, `limit` says for how
  /// long the others are waited for, as nobody watches over them yet; throws std::runtime_error then.
  static Roster& of(const Session& session, std::optional<std::chrono::seconds> limit = std::nullopt);

  /// nullptr where there is none. Not collective.
  static const Roster* known(const Session& session);

  explicit Roster(const Session& session);
  /// Who leaves here is not lost to the others.
  ~Roster();
  Roster(const Roster&) = delete;
  Roster& operator=(const Roster&) = delete;

  /// One relaxed load; for hot loops.
  [[nodiscard]] bool has_losses() const noexcept { return losses_.load(std::memory_order_relaxed) > 0; }
  [[nodiscard]] bool is_lost(int rank) const noexcept {
    return lost_[static_cast<std::size_t>(rank)].load(std::memory_order_acquire);
  }
  /// In the order in which that became known.
  [[nodiscard]] std::vector<int> lost() const;
  /// The lowest rank that is left, which speaks for all.
  [[nodiscard]] int first_left() const noexcept;
  /// Nobody watches over the others any more: who is lost from now on would not be missed.
  [[nodiscard]] bool is_master_lost() const noexcept { return is_lost(0); }
  /// As in "rank 3 on node7 was lost", and what that means, in a few words. Where it left because of another, that one.
  [[nodiscard]] RankLost error(int rank, std::string_view meaning) const;
  /// Throws for the first rank that was lost.
  void check(std::string_view meaning) const;

  /// Why the run ends: the first rank that gave up has said so, and the others may leave without a word.
  struct End {
    int rank;  ///< that is lost, or gave up
    base::ExitCode code;
  };
  /// This rank leaves because of an error that it has told. The other ranks' roster loses it, and knows why.
  void give_up(End why);
  [[nodiscard]] std::optional<End> end() const;
  /// The master is gone: because of such an error? Waits until that is known. On any thread.
  [[nodiscard]] bool is_ending() const;
  /// Of all ranks that fail and call this before they say why, one is to: true for that one, which may take some
  /// seconds.
  [[nodiscard]] bool claim_end();

  /// This rank makes no calls of class Collective any more, and returns when no rank does. One that waits in such a
  /// call for this rank, as it learns within a heartbeat, throws std::logic_error. The end of a session tells the same,
  /// and waits for nobody. Collective, but no Collective.
  void leave();
  /// What each rank gives, on the master. Collective after leave(), and no Collective.
  [[nodiscard]] std::vector<int> gather_statuses(int status) const;

 private:
  struct Impl;

  void lose(int rank, std::optional<End> why) noexcept;
  void hear_workers();
  void tell_if_new(std::uint64_t word);
  void tell_all(std::uint64_t word);
  void apply(std::uint64_t word);
  void tell_end();
  void check_left(std::uint64_t number) const;

  const Session& session_;
  std::atomic<int> losses_ = 0;
  std::vector<std::atomic<bool>> lost_;
  mutable std::mutex mutex_;
  std::vector<int> order_;
  std::optional<End> end_;
  std::atomic<std::uint64_t> least_left_ = ~std::uint64_t{0};  // collective operations, of the ranks that have left
  int first_to_leave_ = 0;                                     // after so many
  std::atomic<int> speaker_ = -1;
  std::mutex telling_;
  bool has_left_ = false;
  std::int64_t all_left_ = -1;  // collective operations after which all ranks have left together
  std::unique_ptr<Impl> impl_;
};

}  // namespace echelon::comm
