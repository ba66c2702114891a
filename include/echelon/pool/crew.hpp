#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include <echelon/comm/packing.hpp>
#include <echelon/comm/session.hpp>
#include <echelon/farm/master.hpp>
#include <echelon/measure/record.hpp>
#include <echelon/pool/error.hpp>
#include <echelon/pool/nursery.hpp>
#include <echelon/pool/task_type.hpp>

namespace echelon::pool::detail {

using Clock = std::chrono::steady_clock;

/// What the crew has to know of a job: where its input comes from and where its results go. Everything is called by one
/// thread at a time, with the crew's lock held; only results() may throw.
class Job {
 public:
  Job() = default;
  virtual ~Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  const TaskType* type = nullptr;
  comm::Packer function;
  std::optional<std::size_t> argument_size;  // where all are alike
  farm::JobOptions options;
  bool stoppable = true;        // a request to stop the run ends it early
  bool reads_anywhere = false;  // read() may be called by any thread, not only by the one that waits for the results

  /// Packs up to `count` more tasks' arguments, each ended by a call of `task`, and returns whether that was all.
  virtual bool read(comm::Packer& to, std::uint64_t count, const std::function<void()>& task) = 0;
  /// From the task `first + done` on; `done` counts those that were unpacked. What is thrown is the error of the next.
  virtual void results(std::uint64_t first, std::uint64_t count, std::uint64_t& done, comm::Unpacker& from) = 0;
  virtual void error(TaskError error) = 0;
  /// Every task has its result.
  virtual void finished() {}
  /// Not every one has, and none gets it any more, as the run was asked to stop.
  virtual void stopped(const StoppedAt& at) = 0;
  /// It was cancelled instead.
  virtual void cancelled() {}
};

/// All ranks of a session as the master sees them: one for all pools of the session, made when the first one is.
class Crew {
 public:
  /// Collective: on the other ranks Server is made meanwhile.
  Crew(const comm::Session& session, Nursery* nursery);
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  /// `waits`: the caller calls wait() next, so that the crew's own thread need not look meanwhile.
  [[nodiscard]] farm::JobId submit(std::shared_ptr<Job> job, bool waits = false);
  /// Nothing of the job is called any more after this.
  void cancel(farm::JobId job);
  /// Every task has its result, or the job was cancelled and none of its tasks runs.
  [[nodiscard]] bool is_finished(farm::JobId job);
  /// The same, inside wait().
  [[nodiscard]] bool has_ended(farm::JobId job) const;
  /// How many have not ended, inside wait().
  [[nodiscard]] std::size_t open_jobs() const;

  /// Works for all jobs until `done` says so, which is called with the lock held; false where the time was over first,
  /// after one look at least. Throws WorkersLost. Throws std::logic_error when called from a task or an input on this
  /// rank.
  /// `consumed`: the job of which `done` takes a result out of the window each time that it is true.
  bool wait(const std::function<bool()>& done, std::optional<Clock::time_point> limit = std::nullopt,
            std::optional<farm::JobId> consumed = std::nullopt);
  /// Does this with the lock held, and then runs the callbacks that it deferred.
  void locked(const std::function<void()>& what);
  /// Runs a callback of the user's soon, without the lock. With the lock held.
  void defer(std::function<void()> callback);
  /// Returns when all callbacks that are due have run, on whatever thread: only a callback itself does not wait.
  void finish_callbacks();
  /// The first thing that a callback threw since the last call.
  [[nodiscard]] std::exception_ptr take_callback_error();

  /// The master's rank works while more pools have said 1 than -1.
  void let_master_work(int change);
  [[nodiscard]] int workers() const;             ///< ranks that run tasks
  [[nodiscard]] bool isolates() const noexcept;  ///< a task can have a process of its own
  [[nodiscard]] measure::Record report();
  /// A pool begins. While there is none, nothing is at stake: that a worker's session ends before the master's is no
  /// loss.
  void begin_pool();
  /// A pool has ended: each worker returns from one serve(session, Until::pool_ends).
  void end_pool();
  /// Tells the workers to leave, and waits for them; those that are still in a task after a while are ended.
  void leave();
  /// Ends the workers, whatever they are busy with and whatever this rank does in the crew meanwhile.
  void abandon();
  /// Ends this process where a task has ended its own by exit(), with the same status.
  void follow_exit();
  /// With its session, after which all of the above throw std::logic_error.
  void end();
  [[nodiscard]] bool is_over() const noexcept { return !impl_.pointer; }

 private:
  struct Impl;
  /// As the pointer, but says what is wrong where that is empty.
  struct Owned {
    std::unique_ptr<Impl> pointer;
    Impl& operator*() const {
      if (!pointer) throw std::logic_error("the session of this pool has ended; use the pool and its results before");
      return *pointer;
    }
    Impl* operator->() const { return &**this; }
  };
  Owned impl_;
};

/// The crew of a session's master; nullptr on the other ranks.
[[nodiscard]] std::shared_ptr<Crew> crew(const comm::Session& session);
/// Makes what a pool needs on all ranks of a session, where that was not done before. Collective the first time.
/// `nursery`: this rank's, which lives longer than the session; nullptr: it has none.
void assemble(const comm::Session& session, Nursery* nursery = nullptr);
/// Runs tasks until the master leaves, or also until one of its pools has ended. On the workers, after assemble().
enum class Until { master_leaves, pool_ends };
void serve(const comm::Session& session, Until until);
/// On a worker: a task has called exit(), and this process is about to end. Tells the master.
void tell_exit(const comm::Session& session, int status);

}  // namespace echelon::pool::detail
