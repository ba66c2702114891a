#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <variant>
#include <vector>

#include <echelon/farm/tasks.hpp>
#include <echelon/schedule/chunks.hpp>

namespace echelon::farm {

/// How the tasks of a job are given out.
struct JobOptions {
  std::optional<std::uint64_t> tasks = std::nullopt;          ///< how many there are, where that is known beforehand
  std::optional<std::uint64_t> chunk = std::nullopt;          ///< tasks a message; nothing: what takes `chunk_time`
  std::optional<schedule::Schedule> schedule = std::nullopt;  ///< needs `tasks`; `chunk` is then its least size
  std::optional<std::uint64_t> prefetch = std::nullopt;       ///< chunks that wait on a worker behind the running one;
                                                              ///< nothing: 1, and more where they are short
  std::chrono::nanoseconds ahead{1'000'000};                  ///< of work on a worker, before it gets no more
  std::uint64_t window = UINT64_MAX;                          ///< tasks given out or done that nobody has consumed yet
  unsigned retries = 0;                                       ///< of a task that fails, on other workers first
  unsigned crash_limit = 2;  ///< crashes of a task before it is given up: of its worker, or of a process of its own; a
                             ///< worker that held other tasks too counts, but not as the last one
  bool isolated = false;     ///< each task runs in a process of its own, not only a suspect
  std::uint64_t kind = 0;    ///< jobs of one kind are assumed to have tasks of like duration
};

/// Read up to `count` more tasks of the job's input, and tell by Master::read(); where there are none yet, by hold().
struct Read {
  JobId job;
  std::uint64_t count;
};
/// Send the chunk to the worker.
struct Give {
  int worker;
  Chunk chunk;
};
/// Take back what the worker has not begun of all below `upto`, and tell by Master::taken_back().
struct TakeBack {
  int worker;
  std::uint64_t upto;
};
/// The task has no result: so many workers, or processes of its own, died over it, the last one at `worker`.
struct GiveUp {
  JobId job;
  std::uint64_t task;
  int worker;
  unsigned crashes;
  unsigned attempts;
  int lost;  ///< the last worker that died over it; -1: none did
};
using Action = std::variant<Read, Give, TakeBack, GiveUp>;

/// The master's decisions. It is told what happened and says what to do; it has no clock, no MPI, no data of tasks.
///
/// What it keeps: every task that was read is in exactly one place: waiting, leased to one live worker, or finished. A
/// task is leased again only when its worker is lost, gave it back, or reported its failure; a lost worker is never
/// heard again. So each task gets one result. While a job has unfinished tasks and a worker lives, there is an action
/// or a lease; each lease ends by a report or by the loss of its worker; a task is begun retries + max(crash_limit, 2)
/// + 1 times at most. So every job ends.
///
/// Tasks that were lost with their worker are suspects, any of which may have killed it. They come last, when nothing
/// else can be given out, so that what they kill has nothing else to do: each alone, on a worker that holds nothing
/// else, and in a process of its own where the worker can (Chunk::isolated), which then survives. What suits no process
/// of its own (undecided()) runs on a worker itself, after all others.
///
/// A task is given up only if crash_limit workers or processes were lost while they held it, the last of them with
/// nothing else, so never for what another task did; or if no worker is left but the master's own rank, which runs no
/// suspect but in a process of its own.
class Master {
 public:
  static constexpr std::chrono::nanoseconds chunk_time{1'000'000};  ///< aimed at, where no chunk size is given
  static constexpr std::uint64_t max_leases = 64;                   ///< chunks on a worker
  static constexpr std::uint64_t chunk_bytes = 1 << 20;             ///< of input, aimed at most

  /// `here`: the master's own rank works too, as worker 0, in between (next_here()).
  Master(const std::vector<int>& workers, bool here);
  ~Master() = default;
  Master(const Master&) = delete;  // a copy's jobs would point to the first one's estimates
  Master& operator=(const Master&) = delete;
  Master(Master&&) = default;
  Master& operator=(Master&&) = default;

  // ---- jobs ----
  [[nodiscard]] JobId open(const JobOptions& options);
  /// `count` more tasks of the job can be given out; `ended`: there are no others. `bytes`: their size.
  void read(JobId job, std::uint64_t count, bool ended, std::uint64_t bytes = 0);
  /// While held, a job's input is not to be read.
  void hold(JobId job, bool held);
  /// `count` more results were taken out of the window.
  void consumed(JobId job, std::uint64_t count);
  /// Gives out no more of the job; what has begun still comes back and is not to be delivered.
  void cancel(JobId job);
  /// All its tasks have results, failed for good or were handed out as GiveUp; or it was cancelled and no worker holds
  /// any.
  [[nodiscard]] bool is_finished(JobId job) const;
  [[nodiscard]] bool is_cancelled(JobId job) const { return jobs_.at(job).cancelled; }
  /// Forgets a finished job.
  void close(JobId job) { jobs_.erase(job); }
  /// Attempts at a task so far, the running one included: to be asked before its end is told, when it is forgotten.
  [[nodiscard]] unsigned attempts(JobId job, std::uint64_t task) const;

  // ---- events; those of lost workers are ignored, which `false` says ----
  /// These tasks, of one chunk or of several that follow each other, have results. Throws std::logic_error where the
  /// worker did not hold them next.
  bool done(int worker, const Tasks& tasks, std::chrono::nanoseconds time);
  /// This task failed.
  enum class Verdict { ignored, retry, final };
  Verdict failed(int worker, JobId job, std::uint64_t task);
  /// Answer to TakeBack: all from `from` on was not begun and will not be.
  bool taken_back(int worker, std::uint64_t from);
  /// The process that the worker ran this task in was killed; the worker goes on.
  bool crashed(int worker, JobId job, std::uint64_t task);
  /// That process ended without a result, which may be for no other reason than that it was not the worker itself.
  bool undecided(int worker, JobId job, std::uint64_t task);
  /// The worker is gone.
  bool lost(int worker);

  // ---- decisions ----
  /// What to do now; nothing until the next event.
  [[nodiscard]] std::optional<Action> next();
  /// What the master's own rank could do now that others have enough: Read or Give, the latter to be executed before
  /// anything else is asked.
  [[nodiscard]] std::optional<Action> next_here();

  /// Whether the master's own rank works; @pre it holds no task.
  void set_here(bool here);
  /// The master's own rank can run a task in a process of its own: what is suspect, once no worker is left, or
  /// `everything` that it runs.
  void isolate_here(bool everything);
  /// Jobs of which the worker holds tasks.
  [[nodiscard]] std::vector<JobId> jobs_on(int worker) const;
  [[nodiscard]] bool is_live(int worker) const { return workers_.at(static_cast<std::size_t>(worker)).live; }
  [[nodiscard]] int live_workers() const noexcept { return live_; }  ///< other than here
  /// Tasks that the worker holds.
  [[nodiscard]] std::uint64_t leased(int worker) const { return workers_.at(static_cast<std::size_t>(worker)).tasks; }

 private:
  static constexpr int here_worker = 0;
  static constexpr int none = -1;

  struct Trouble {  // what is known of a task that failed or crashed
    unsigned failures = 0;
    unsigned crashes = 0;
    unsigned undecided = 0;
    std::vector<int> tried;
    [[nodiscard]] unsigned attempts() const noexcept { return failures + crashes + undecided; }
  };
  struct Suspicion {
    bool undecided = false;
    unsigned crashes = 0;
    int lost = none;  // the last worker that died over it
  };
  struct Estimate {
    double tasks = 0;
    double ns = 0;
    [[nodiscard]] double task_ns() const noexcept { return tasks > 0 ? ns / tasks : 0; }
  };
  struct Job {
    JobOptions options;
    std::optional<schedule::Chunks> chunks;  // of options.schedule
    std::uint64_t chunk_number = 0;
    std::uint64_t next_chunk = 0;  // its size, once decided; what is left of it, until all is given
    std::uint64_t read = 0;
    std::uint64_t given = 0;  // each task below was given out at least once
    std::uint64_t consumed = 0;
    std::uint64_t finished = 0;
    std::uint64_t leased = 0;
    std::uint64_t bytes = 0;  // of all that was read
    bool ended = false;
    bool held = false;
    bool cancelled = false;
    bool ready = false;                        // in ready_
    std::optional<std::uint64_t> waits_since;  // for a worker of few leases; by gives_
    std::deque<Tasks> returned;                // given back before they were begun
    std::unordered_map<std::uint64_t, Trouble> trouble;
    Estimate* estimate = nullptr;

    [[nodiscard]] double task_bytes() const noexcept {
      return read == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(read);
    }
  };
  struct Worker {
    bool live = false;
    bool here = false;
    bool taking_back = false;
    bool may_take_back = false;  // it got more since it was last asked; retries are none: they would come back to it
    std::optional<Suspicion> careful;  // holds one suspect, and nothing else
    std::deque<Chunk> leases;          // in the order in which it executes them
    std::uint64_t tasks = 0;           // in leases
    std::uint64_t sent = 0;            // the sequence of the next task
    std::size_t load = 0;              // its list in loads_
    int before = -1, after = -1;       // neighbours in that list
  };
  struct Suspects {  // lost with their worker: run one by one, each on a worker that holds nothing else
    Tasks tasks;
    Suspicion how;
  };

  [[nodiscard]] Worker& at(int worker) { return workers_[static_cast<std::size_t>(worker)]; }
  void link(int worker);
  void unlink(int worker);
  void settle(int worker);  // after its leases changed
  void make_ready(JobId id, Job& job);
  [[nodiscard]] bool can_take(const Worker& worker, const Job& job) const;
  [[nodiscard]] std::uint64_t chunk_size(Job& job) const;
  [[nodiscard]] static std::uint64_t room(const Job& job);
  Give give(int worker, Job& job, const Tasks& tasks, std::optional<Suspicion> careful = std::nullopt);
  std::uint64_t take_off(Worker& worker, const Tasks& tasks);
  std::optional<Suspicion> take_off_one(int worker, Job& job, const Tasks& task);
  void suspect(const Tasks& tasks, Suspicion how);
  void count_crash(int worker, Job& job, const Tasks& task, Suspicion before);
  void give_back(const Tasks& tasks);
  [[nodiscard]] Job* find(JobId job);  // nullptr where it was closed or cancelled
  [[nodiscard]] std::optional<Action> next_suspect(bool here);
  [[nodiscard]] std::optional<Action> next_retry(bool here);
  [[nodiscard]] std::optional<Action> next_of_jobs(bool here);
  [[nodiscard]] std::optional<Action> next_take_back(bool someone_is_idle);
  [[nodiscard]] bool tried_by_all(const Trouble& trouble) const;

  std::vector<Worker> workers_;   // by rank
  std::vector<int> loads_first_;  // by number of leases: the first worker in a list of those that have as many
  std::vector<int> loads_last_;
  int live_ = 0;
  int asked_ = 0;  // of these, to give back
  bool has_here_ = false;
  bool here_isolates_ = false;
  bool here_isolates_all_ = false;
  std::uint64_t next_job_ = 0;
  std::unordered_map<JobId, Job> jobs_;
  std::uint64_t gives_ = 0;                                // chunks of jobs so far
  std::deque<JobId> ready_;                                // jobs that may have something to give
  std::unordered_map<std::uint64_t, Estimate> estimates_;  // by kind
  std::deque<Suspects> suspects_;                          // those that crashed least first, undecided ones last
  struct Retry {
    JobId job;
    std::uint64_t task;
  };
  std::deque<Retry> retries_;
  std::deque<GiveUp> given_up_;
  std::vector<int> cancelled_on_;  // workers that hold tasks of a job that was cancelled
};

}  // namespace echelon::farm
