#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <variant>
#include <vector>

#include <echelon/base/sockets.hpp>

namespace echelon::comm {

/// Who is alive, without MPI: a TCP connection of our own between the master and each worker. It closes when a process
/// dies; heartbeats tell of stopped processes and silent nodes; a secret keeps out whoever is not of the job. The same
/// connection carries small requests to a worker that computes and does not hear MPI.

/// What a worker needs to find the master and to prove itself: to be broadcast over MPI.
struct LivenessInvitation {
  using Address = base::Address;
  using Secret = std::array<std::uint64_t, 2>;
  static constexpr std::size_t most_addresses = 32;

  std::array<Address, most_addresses> addresses{};  ///< of the master's host; neither loopback nor link-local
  std::uint32_t address_count = 0;
  std::uint32_t port = 0;
  std::array<char, 80> host{};  ///< names whose loopback the master can be reached on
  Secret shown_by_worker{};
  Secret shown_by_master{};
};

struct LivenessOptions {
  /// Who is not heard for so long counts as lost. Heartbeats are ten times as frequent.
  std::chrono::milliseconds silence{10'000};
  /// Who has connected and not proved itself for so long is put out.
  std::chrono::milliseconds stranger{5'000};
  /// The master's: all workers share its loopback, and it listens on nothing else.
  bool within_host = false;
};

/// The defaults, but for what the environment says: ECHELON_HEARTBEAT_S is the silence in seconds. Throws UsageError.
[[nodiscard]] LivenessOptions liveness_options();

/// For all to connect in: a machine where ranks share a CPU with many others may need some of it.
inline constexpr std::chrono::seconds connect_limit{60};

/// The master's end. One background thread does all that touches the network: nothing here waits for a worker but what
/// has a limit. Thread-safe.
class LivenessMonitor {
 public:
  struct Lost {
    enum class Cause {
      closed,   ///< the process ended, or left without a goodbye
      silent,   ///< it, or its node, is stopped or cut off; or it does not read what it is sent
      gave_up,  ///< it ends because of an error of its own, as it has said
    };
    int rank = 0;
    Cause cause = Cause::closed;
    std::uint64_t code = 0;  ///< of who gave up, what it said
  };
  struct Answer {
    int rank = 0;
    std::uint64_t request = 0;  ///< the value it was asked with
    std::uint64_t answer = 0;
  };
  struct Word {
    int rank = 0;
    std::uint64_t value = 0;
  };
  using News = std::variant<Lost, Answer, Word>;

  /// For `ranks` ranks, of which 0 is the master; listens at once. `on_news` is called on the background thread when
  /// there is news of a loss or a word, and not after goodbye(); it must not throw.
  explicit LivenessMonitor(int ranks, LivenessOptions options = {}, std::function<void()> on_news = {});
  /// Workers that were told no goodbye take the master for lost.
  ~LivenessMonitor();
  LivenessMonitor(const LivenessMonitor&) = delete;
  LivenessMonitor& operator=(const LivenessMonitor&) = delete;

  [[nodiscard]] const LivenessInvitation& invitation() const noexcept;

  /// Returns when all workers have connected or `limit` is over: the ranks that have not. Nobody can connect any more
  /// then; the port is closed.
  [[nodiscard]] std::vector<int> wait_for_workers(std::chrono::milliseconds limit);

  /// One relaxed load; for hot loops.
  [[nodiscard]] bool has_news() const noexcept;
  /// What has happened since the last call, in its order. A rank is lost at most once, and nothing follows that.
  [[nodiscard]] std::vector<News> news();

  /// Asks a worker; it is answered by an Answer, or the rank is Lost: also one that has left, or is not connected.
  /// Never waits. Not after goodbye().
  void request(int rank, std::uint64_t value);
  /// Says a word to a worker, for which there is no answer; one that is lost does not hear it. Never waits.
  void tell(int rank, std::uint64_t word);

  /// The caller has given the rank up: its process is told to end, and there is no more news of it, Lost included.
  void end(int rank);

  /// From now on no rank is lost any more: tells all workers that the master will leave. Returns when that is sent.
  void goodbye();

  /// Returns when every worker that is not lost has said goodbye or closed its connection; false after `limit`.
  [[nodiscard]] bool wait_until_all_left(std::chrono::milliseconds limit);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A worker's end, with one background thread, on which the handlers are called. They must not throw,
/// nor destroy it; while one runs, heartbeats wait.
class LivenessBeacon {
 public:
  struct Handlers {
    /// The answer to a request; 0 where there is no such handler.
    std::function<std::uint64_t(std::uint64_t)> answer{};
    /// The master has said a word.
    std::function<void(std::uint64_t)> told{};
    /// The connection closed without the master's goodbye, or the master was silent. Without a handler the process ends
    /// at once, as broken.
    std::function<void()> master_lost{};
    /// The master has given this rank up. Without a handler the process ends at once, as broken.
    std::function<void()> ended{};
  };

  /// Connects to the first of the master's addresses that answers as the master. Throws std::runtime_error that says
  /// what was tried where none does within `limit`.
  LivenessBeacon(int rank, const LivenessInvitation& invitation, LivenessOptions options, Handlers handlers,
                 std::chrono::milliseconds limit);
  /// Without a goodbye, this rank is lost.
  ~LivenessBeacon();
  LivenessBeacon(const LivenessBeacon&) = delete;
  LivenessBeacon& operator=(const LivenessBeacon&) = delete;

  /// Says a word to the master, for which there is no answer, and which it reads with this rank's next heartbeat.
  void tell(std::uint64_t word);

  /// This rank leaves as planned: that its connection closes is no loss, even if the process ends right after this.
  /// Until that closes, requests are answered and the master can be lost.
  void goodbye();

  /// If a signal ends this process, the master is told which by Lost::code, a Death (see death.hpp).
  void report_crashes() noexcept;

  /// This rank ends because of an error: it is lost, and `code` says why. The connection closes with the beacon.
  void give_up(std::uint64_t code);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace echelon::comm
