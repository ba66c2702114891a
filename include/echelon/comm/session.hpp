#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <typeindex>
#include <utility>
#include <vector>

#include <echelon/base/error.hpp>
#include <echelon/base/traffic.hpp>

namespace boost::mpi {
class communicator;
}

namespace echelon::comm {

/// A rank's place as its launcher tells it by environment variables, known before MPI starts.
struct Placement {
  bool launched = false;          ///< by mpirun, srun or another launcher that MPI understands
  int rank = 0;                   ///< 0 where not launched
  std::string launcher = "none";  ///< "none", "mpirun" or "srun"
  /// The others go on when one dies, as with mpirun --enable-recovery. Unknown under an mpirun of Open MPI 5's that
  /// Echelon did not start: it does not tell its ranks.
  std::optional<bool> outlives_ranks = false;
};
[[nodiscard]] Placement placement();
/// Ranks are of several nodes, as far as the environment tells, which it does before MPI starts.
[[nodiscard]] bool spans_nodes();
/// The same for records: "echelon" where echelon -n started the launcher.
[[nodiscard]] std::string launcher();

/// Ranks, and a communicator that only Echelon uses. Made and destroyed by the thread that calls main(); one thread at
/// a time may communicate.
class Session {
 public:
  /// MPI from its start to its end, one a process. Collective over all ranks. Without a launcher the process becomes
  /// the only rank, and starts no daemon for it.
  Session(int& argc, char**& argv);
  /// Ranks of a program that starts and ends MPI itself. Collective over these. <echelon/comm/attach.hpp> takes an
  /// MPI_Comm. Throws std::invalid_argument where there are none (MPI_COMM_NULL).
  explicit Session(const boost::mpi::communicator& ranks);
  /// Collective over all ranks; where some were lost, the others just leave, and MPI is not finalized: it would wait.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] int rank() const noexcept;
  [[nodiscard]] int size() const noexcept;
  [[nodiscard]] bool is_master() const noexcept { return rank() == 0; }

  /// Returns when all ranks have called it; a rank that waits long sleeps. Collective: see class Collective for what is
  /// thrown where ranks do something else.
  void barrier() const;
  /// Throws std::logic_error where it is known that not all ranks make the calls that this one has begun. For who waits
  /// for something else.
  void check_calls() const;

  /// From now on this rank does not act together with others: what is collective throws std::logic_error with `why`,
  /// rather than wait for ever; empty: it does. Returns what was said before.
  std::string refuse_collectives(std::string why) const;
  [[nodiscard]] bool has_collectives() const noexcept;

  /// Lets MPI serve other ranks' requests that need this one; cheap enough to be called every 100 us.
  void progress() const;

  /// What this rank has sent to ranks of other nodes, which do not share its memory: messages as they are given to
  /// MPI, and of a collective operation its data, but what is for all ranks once for each other node, whatever way MPI
  /// takes. Not in it: MPI's own protocol, barriers, agreements, heartbeats, and what is written to files.
  [[nodiscard]] base::Traffic between_nodes() const noexcept;

  /// Says why on standard error, naming this rank and its host, and ends all ranks. Any rank may call it.
  [[noreturn]] void abort(base::ExitCode code, std::string_view why) const noexcept;

  /// Ends this rank alone, at once, without a word and without MPI's end, which may wait for ranks that are gone. Where
  /// the job does not outlive a rank, its launcher ends the others.
  [[noreturn]] void leave(base::ExitCode code) const noexcept;

  /// A rank is known to be gone. Not collective.
  void lose(int rank) const;
  [[nodiscard]] const std::vector<int>& lost() const noexcept { return lost_; }
  /// It did not start MPI itself.
  [[nodiscard]] bool is_attached() const noexcept;
  /// More than one thread may communicate, one at a time (MPI_THREAD_SERIALIZED). Where a program of one's own uses MPI
  /// besides, this takes MPI_THREAD_MULTIPLE.
  [[nodiscard]] bool is_serialized() const noexcept;

  /// What a higher layer keeps for as long as the session lives, one a type; nothing before it is set. The last one
  /// that was asked for goes first, and the session is still whole then.
  [[nodiscard]] std::shared_ptr<void>& kept(std::type_index type) const;

  /// Someone wants the run to stop in good order: by INT, TERM, HUP, USR1 or USR2 to what started it or, without -n, to
  /// the master (of echelon::run and echelon::parallel), or by request_stop(). It reaches the master alone; on other
  /// ranks this is false. For hot loops.
  [[nodiscard]] bool stop_requested() const noexcept { return stop_.stop_requested(); }
  /// Calls this once, soon after such a request, on a thread of Echelon's own; where there was one already, at once. It
  /// must not throw, nor wait for what the session's thread does.
  void on_stop(std::function<void()> callback) const;
  /// As such a signal; 0: on nobody's but the program's own behalf. Thread-safe, but not for signal handlers. Returns
  /// when what on_stop() was given has run.
  void request_stop(int signal = 0) const;
  /// Behind the first request; 0 where there was none.
  [[nodiscard]] int stop_signal() const noexcept { return stop_signal_.load(std::memory_order_relaxed); }

  /// As in "Open MPI 4.1.4".
  [[nodiscard]] static std::string library();

  struct Impl;  // holds MPI's types, for the sources of this folder
  [[nodiscard]] const Impl& impl() const noexcept { return *impl_; }

 private:
  using StopCallback = std::stop_callback<std::function<void()>>;

  std::unique_ptr<Impl> impl_;
  mutable std::stop_source stop_;
  mutable std::atomic<int> stop_signal_ = 0;
  mutable std::list<StopCallback> on_stop_;
  mutable std::vector<int> lost_;
  mutable std::list<std::pair<std::type_index, std::shared_ptr<void>>> kept_;  // a list: references stay
};

/// Called as a rank is about to call MPI_Abort, by the program or by abort(): a launcher that lets ranks be lost does
/// not end the others then. `is_explained`: the rank has printed why.
using AbortWord = void (*)(int code, bool is_explained) noexcept;
void set_abort_word(AbortWord word) noexcept;
void tell_abort(int code, bool is_explained) noexcept;

}  // namespace echelon::comm
