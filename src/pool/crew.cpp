#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>

#include <fmt/format.h>

#include <echelon/analysis/assemble.hpp>
#include <echelon/comm/backoff.hpp>
#include <echelon/comm/collective.hpp>
#include <echelon/comm/collectives.hpp>
#include <echelon/comm/link.hpp>
#include <echelon/comm/roster.hpp>
#include <echelon/measure/account.hpp>
#include <echelon/measure/machine.hpp>
#include <echelon/pool/crew.hpp>

#include "runner.hpp"
#include "server.hpp"
#include "wire.hpp"

namespace echelon::pool::detail {
namespace {

using namespace std::chrono_literals;

/// How often the crew's own thread looks while the program is elsewhere.
constexpr std::chrono::milliseconds look_every{1};
/// After which idleness it goes back to that.
constexpr std::chrono::microseconds look_on{200};
/// Workers that were told to leave are waited for so long: longer only where a task runs on.
constexpr std::chrono::seconds leave_limit{5};
constexpr int most_messages_a_look = 64;
constexpr std::uint64_t look_after_taking = 64;

/// The packed arguments of tasks [first, first + count), until all of them have their results.
struct Block {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  std::uint64_t unfinished = 0;
  std::shared_ptr<comm::Packer> bytes = std::make_shared<comm::Packer>();
  std::vector<std::size_t> ends;  // of each task's, where they differ in size
};
/// Arguments from this size on are sent from where they lie.
constexpr std::size_t least_shared = 64 << 10;

struct OpenJob {
  std::shared_ptr<Job> job;  // nullptr once it was cancelled
  std::optional<std::size_t> argument_size;
  CodeAddress type{};
  std::thread::id reader;          // whose thread reads its input
  std::deque<Block> blocks;        // by task
  std::vector<bool> has_function;  // by worker
  std::unique_ptr<Function> here;
  std::unordered_map<std::uint64_t, OwnProcesses> own_processes;  // of the task that had any without a result
  std::uint64_t read = 0;
  std::uint64_t done = 0;  // of those, well or not
  bool ended = false;      // its input has
  bool stopped = false;    // it gives out nothing more, as the run was asked to stop

  [[nodiscard]] bool is_complete() const { return ended && done == read; }

  Block& block_of(std::uint64_t task) {
    return *std::prev(std::upper_bound(blocks.begin(), blocks.end(), task,
                                       [](std::uint64_t t, const Block& block) { return t < block.first; }));
  }

  /// The arguments of these tasks, as they travel, as far as they are of the block.
  [[nodiscard]] std::span<const std::byte> arguments_in(const Block& block, const farm::Tasks& tasks) const {
    const std::uint64_t from = tasks.first - block.first;
    const std::uint64_t count = std::min(block.count - from, tasks.count);
    if (argument_size) return block.bytes->view().subspan(from * *argument_size, count * *argument_size);
    const std::size_t begin = from == 0 ? 0 : block.ends[from - 1];
    return block.bytes->view().subspan(begin, block.ends[from + count - 1] - begin);
  }

  /// Appends the arguments of these tasks.
  void copy_arguments(farm::Tasks tasks, comm::Packer& to) {
    while (tasks.count > 0) {
      const Block& block = block_of(tasks.first);
      const auto bytes = arguments_in(block, tasks);
      to.bytes(bytes.data(), bytes.size());
      const std::uint64_t count = std::min(block.first + block.count, tasks.end()) - tasks.first;
      tasks.first += count;
      tasks.count -= count;
    }
  }

  /// They are long and lie in one piece, so that they need not be copied; empty otherwise.
  [[nodiscard]] comm::Mailbox::Shared shared_arguments(const farm::Tasks& tasks) {
    const Block& block = block_of(tasks.first);
    if (tasks.end() > block.first + block.count) return {};
    const auto bytes = arguments_in(block, tasks);
    if (bytes.size() < least_shared) return {};
    return {block.bytes, bytes};
  }

  void finish(const farm::Tasks& tasks) {
    for (std::uint64_t task = tasks.first; task < tasks.end();) {
      Block& block = block_of(task);
      const std::uint64_t count = std::min(block.first + block.count, tasks.end()) - task;
      block.unfinished -= count;
      if (block.unfinished == 0) block.bytes = nullptr;
      task += count;
    }
    while (!blocks.empty() && blocks.front().unfinished == 0) blocks.pop_front();
  }
};

/// What the master knows of a worker, for the record of one that is lost.
struct Seen {
  std::string host;
  std::string cpus;
  std::uint64_t tasks = 0;
  std::chrono::nanoseconds compute{0};
  Clock::time_point last_heard = Clock::now();
  std::string death{};  // how it was lost
  int unanswered = 0;   // requests to take tasks back
};

std::vector<int> all_workers(int ranks) {
  std::vector<int> workers;
  for (int rank = 1; rank < ranks; ++rank) workers.push_back(rank);
  return workers;
}

}  // namespace

struct Crew::Impl {
  Impl(const comm::Session& of, Nursery* its_nursery)
      : session{of},
        nursery{its_nursery},
        link{of, {}},
        master{all_workers(of.size()), of.size() == 1},
        here_works{of.size() == 1} {
    const std::vector<std::string> cpus = comm::gather(session, measure::format_cpu_list(measure::affinity()));
    for (std::size_t rank = 0; rank < cpus.size(); ++rank)
      seen.push_back({.host = link.hosts()[rank], .cpus = cpus[rank]});
    if (nursery != nullptr) master.isolate_here(false);
    account.clock.enter(measure::Phase::wait);
  }

  ~Impl() {
    {
      const std::lock_guard guard{sleep_mutex};
      stopping = true;
    }
    wake.notify_all();
    if (own_thread.joinable()) own_thread.join();
    if (!has_left && !broken) link.say_goodbye();
  }

  // ---- locks ----
  // The program's thread holds `mutex` while it is in the pool, so the crew's own thread works only when it is not. A
  // callback on that thread may be in the pool too: two that wait hand the mutex over to each other (let_others()).

  class Inside {
   public:
    /// `back_soon`: the thread comes back at once, which is sooner than the crew's own thread could be woken.
    explicit Inside(Impl& impl, bool back_soon = false) : impl_{impl}, back_soon_{back_soon} {
      const std::thread::id me = std::this_thread::get_id();
      if (impl_.owner.load(std::memory_order_relaxed) == me || impl_.runs_task.load(std::memory_order_relaxed) == me) {
        throw std::logic_error("a pool cannot be used from inside its own tasks and inputs on the master");
      }
      lock();
      if (const std::exception_ptr why = impl_.broken) {
        unlock();
        std::rethrow_exception(why);
      }
    }
    ~Inside() {
      const bool leave_work = !back_soon_ && impl_.has_work() && impl_.session.size() > 1;
      unlock();
      if (leave_work) impl_.start_own_thread();
    }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

    /// Runs something without the lock.
    template <typename F>
    void outside(F f) {
      unlock();
      try {
        f();
      } catch (...) {
        lock();
        throw;
      }
      lock();
    }
    /// Another thread waits for the mutex, which it gets only while this one sleeps.
    void let_others() {
      if (impl_.wanted.load(std::memory_order_relaxed) > 0) outside([] { std::this_thread::sleep_for(20us); });
    }

   private:
    void lock() {
      impl_.wanted.fetch_add(1, std::memory_order_relaxed);
      impl_.mutex.lock();
      impl_.wanted.fetch_sub(1, std::memory_order_relaxed);
      impl_.owner.store(std::this_thread::get_id(), std::memory_order_relaxed);
    }
    void unlock() {
      impl_.owner.store({}, std::memory_order_relaxed);
      impl_.mutex.unlock();
    }
    Impl& impl_;
    bool back_soon_;
  };

  /// Something is left that the crew's own thread could do.
  [[nodiscard]] bool has_work() { return !jobs.empty() || !deferred.empty() || !link.mailbox().has_sent_all(); }

  void start_own_thread() {
    if (!session.is_serialized() || own_thread_is_awake.exchange(true, std::memory_order_acq_rel)) return;
    if (!own_thread.joinable()) {
      own_thread = std::thread{[this] { run_own_thread(); }};
      return;
    }
    { const std::lock_guard guard{sleep_mutex}; }
    wake.notify_one();
  }

  /// Keeps the workers busy while the program does something else between submitting and waiting.
  void run_own_thread() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    for (;;) {
      {
        std::unique_lock lock{sleep_mutex};
        if (own_thread_is_awake) {
          wake.wait_for(lock, look_every, [&] { return stopping; });
        } else {
          wake.wait(lock, [&] { return stopping || own_thread_is_awake; });
        }
        if (stopping) return;
      }
      if (!mutex.try_lock()) continue;
      owner.store(std::this_thread::get_id(), std::memory_order_relaxed);
      try {
        auto last = Clock::now();
        while (!broken && wanted.load(std::memory_order_relaxed) == 0) {
          const auto now = Clock::now();
          if (look()) last = now;
          if (now - last > look_on) break;
          std::this_thread::yield();
        }
      } catch (...) {  // look() has kept it
      }
      auto callbacks = std::exchange(deferred, {});
      if (!has_work() || broken) own_thread_is_awake = false;
      own_thread_calls.store(!callbacks.empty(), std::memory_order_relaxed);
      owner.store({}, std::memory_order_relaxed);
      mutex.unlock();
      for (auto& callback : callbacks) call(callback);
      callbacks.clear();  // what they refer to may end as soon as they count as done
      own_thread_calls.store(false, std::memory_order_release);
    }
  }

  // ---- callbacks ----

  void call(const std::function<void()>& callback) {
    try {
      callback();
    } catch (...) {
      const std::lock_guard guard{callback_mutex};
      if (!callback_error) callback_error = std::current_exception();
    }
  }

  bool run_deferred(Inside& inside) {
    const bool any = !deferred.empty();
    while (!deferred.empty()) {
      auto callbacks = std::exchange(deferred, {});
      inside.outside([&] {
        for (auto& callback : callbacks) call(callback);
        callbacks.clear();
      });
    }
    return any;
  }

  // ---- what has come ----

  /// Does this. What it throws leaves the crew in a state that nobody knows: it does nothing more then.
  template <typename F>
  auto guarded(F f) {
    if (broken) std::rethrow_exception(broken);
    try {
      return f();
    } catch (...) {
      broken = std::current_exception();
      throw;
    }
  }

  bool look() {
    return guarded([&] { return look_once(); });
  }

  bool look_once() {
    if (!jobs_are_stopped && session.stop_requested()) stop_jobs();
    if (!held.empty()) {
      std::erase_if(held, [&](farm::JobId id) {
        const auto found = jobs.find(id);
        if (found == jobs.end()) return true;
        if (!may_read(found->second)) return false;
        master.hold(id, false);
        return true;
      });
    }
    bool any = receive(most_messages_a_look);
    any = link.mailbox().has_moved() || any;
    if (link.has_news()) {
      // What a worker sent before it was lost counts.
      while (receive(most_messages_a_look)) {
      }
      for (const auto& news : link.news()) take(news);
      any = true;
    }
    while (const auto action = master.next()) {
      perform(*action);
      any = true;
    }
    return any;
  }

  bool receive(int most) {
    int count = 0;
    for (; count < most; ++count) {
      const auto message = link.mailbox().receive();
      if (!message) break;
      seen[static_cast<std::size_t>(message->from)].last_heard = Clock::now();
      take_message(message->from, comm::Unpacker{message->body});
    }
    return count > 0;
  }

  void take_message(int worker, comm::Unpacker from) {
    switch (from.get<ToMaster>()) {
      case ToMaster::results: take_results(worker, from); break;
      case ToMaster::books: books[worker] = from.get<measure::Books>(); break;
      case ToMaster::leaves: break;
      case ToMaster::crashed: {
        const auto task = from.get<farm::Tasks>();
        take_crash(worker, task, from.get<Ended>());
        break;
      }
    }
  }

  /// A task's own process ended without a result. One that ended by itself may have done so only because it was none of
  /// the ranks, as where a task calls MPI; not where the program asked for such processes.
  void take_crash(int worker, const farm::Tasks& task, const Ended& ended) {
    if (!master.is_live(worker)) return;
    OpenJob& open = jobs.at(task.job);
    OwnProcesses& own = open.own_processes[task.first];
    if (ended.signal != 0 || (open.job && open.job->options.isolated && ended.status >= 0)) {
      ++own.crashes;
      own.last = ended;
      master.crashed(worker, task.job, task.first);
    } else {
      own.undecided = ended;
      master.undecided(worker, task.job, task.first);
    }
    close_if_finished(task.job);
  }

  void take_results(int worker, comm::Unpacker& from) {
    while (!from.rest().empty()) {
      const auto head = from.get<ResultsHead>();
      auto body = comm::Unpacker::last(from.bytes(head.bytes));
      if (!master.is_live(worker)) continue;
      if (head.failed) {
        auto type = body.get<std::string>();
        auto message = body.get<std::string>();
        take_failure(worker, head.tasks, std::move(type), std::move(message));
      } else {
        Seen& s = seen[static_cast<std::size_t>(worker)];
        s.tasks += head.tasks.count;
        s.compute += std::chrono::nanoseconds{head.ns};
        OpenJob& open = jobs.at(head.tasks.job);
        tasks_done += head.tasks.count;
        open.done += head.tasks.count;
        if (open.job)
          deliver(*open.job, worker, head.tasks, body);  // first: it asks for attempts, which done() forgets
        master.done(worker, head.tasks, std::chrono::nanoseconds{head.ns});
        open.finish(head.tasks);
      }
      close_if_finished(head.tasks.job);
    }
  }

  /// A result that cannot be unpacked is its task's error.
  void deliver(Job& job, int worker, const farm::Tasks& tasks, comm::Unpacker& from) {
    for (std::uint64_t done = 0;;) {
      try {
        job.results(tasks.first, tasks.count, done, from);
        return;
      } catch (...) {
        Failure failure = failure_in_flight();
        const std::uint64_t task = tasks.first + done;
        --tasks_done;
        ++tasks_failed;
        job.error({task, worker, seen[static_cast<std::size_t>(worker)].host, std::move(failure.type),
                   std::move(failure.message), master.attempts(tasks.job, task)});
        if (++done == tasks.count) return;
      }
    }
  }

  void take_failure(int worker, const farm::Tasks& task, std::string type, std::string message) {
    OpenJob& open = jobs.at(task.job);
    const unsigned attempts = master.attempts(task.job, task.first);
    const auto verdict = master.failed(worker, task.job, task.first);
    if (verdict == farm::Master::Verdict::retry) return;
    // To the farm a job that was stopped is cancelled: what would be tried again is not done.
    const bool is_tried_again = open.stopped && open.job && attempts <= open.job->options.retries;
    const bool is_final = verdict == farm::Master::Verdict::final || (open.stopped && !is_tried_again);
    if (!is_tried_again) {
      ++tasks_failed;
      ++open.done;
    }
    if (is_final && open.job) {
      open.job->error({task.first, worker, seen[static_cast<std::size_t>(worker)].host, std::move(type),
                       std::move(message), attempts});
    }
    open.finish(task);
  }

  void close_if_finished(farm::JobId id) {
    if (!master.is_finished(id)) return;
    const auto found = jobs.find(id);
    const std::shared_ptr<Job> job = found->second.job;
    const bool complete = !found->second.stopped || found->second.is_complete();
    const StoppedAt at{session.stop_signal(), found->second.done,
                       found->second.ended ? found->second.read : (job ? job->options.tasks : std::nullopt)};
    for (std::size_t worker = 1; worker < found->second.has_function.size(); ++worker) {
      if (!found->second.has_function[worker] || !master.is_live(static_cast<int>(worker))) continue;
      out.put(ToWorker::forget);
      out.put(id);
      link.mailbox().send(static_cast<int>(worker), out);
    }
    jobs.erase(found);
    master.close(id);
    if (job) complete ? job->finished() : job->stopped(at);
  }

  /// The run was asked to stop: nothing of what may end early is given out any more.
  void stop_jobs() {
    jobs_are_stopped = true;
    std::vector<farm::JobId> stopped;
    for (auto& [id, open] : jobs) {
      if (open.stopped || !open.job || !open.job->stoppable) continue;
      open.stopped = true;
      stopped.push_back(id);
    }
    for (const farm::JobId id : stopped) {
      master.cancel(id);  // what has begun still comes, and is delivered
      close_if_finished(id);
    }
  }

  void take(const comm::LivenessMonitor::News& news) {
    if (const auto* answer = std::get_if<comm::LivenessMonitor::Answer>(&news)) {
      --seen[static_cast<std::size_t>(answer->rank)].unanswered;
      std::vector<farm::JobId> touched = jobs_on(answer->rank);
      master.taken_back(answer->rank, answer->answer);
      for (const farm::JobId id : touched) close_if_finished(id);
      return;
    }
    const auto& lost = std::get<comm::LivenessMonitor::Lost>(news);
    if (lost.cause == comm::LivenessMonitor::Lost::Cause::gave_up && master.is_live(lost.rank)) {
      if (const auto death = base::decode_death(lost.code); death.how == base::Death::How::status) {
        return take_exit(lost.rank, death.number);
      }
    }
    losses.push_back(lost);
    if (open_pools > 0) take_losses();
  }

  void take_losses() {
    for (const auto& lost : std::exchange(losses, {})) {
      if (master.is_live(lost.rank)) lose(lost.rank, link.death(lost));
    }
  }

  std::vector<farm::JobId> jobs_on(int worker) const { return master.jobs_on(worker); }

  /// A task has called exit() there: the run ends with it, once the program's thread is here.
  void take_exit(int rank, int status) {
    const std::vector<farm::JobId> touched = jobs_on(rank);
    master.lost(rank);
    link.lose(rank);
    for (const farm::JobId id : touched) close_if_finished(id);
    if (exit_status) return;
    exit_status = status;
    const std::string line =
        fmt::format("echelon: a task called exit({}) on rank {} of {}; the run ends with that status\n", status, rank,
                    seen[static_cast<std::size_t>(rank)].host);
    std::fwrite(line.data(), 1, line.size(), stderr);
  }

  void lose(int rank, const base::Death& death) {
    // Where a rank has said why it ends, so does the run, and no more is said.
    if (const auto* roster = comm::Roster::known(session); roster != nullptr && roster->end()) {
      throw roster->error(rank, "the run ends with it");
    }
    const std::vector<farm::JobId> touched = jobs_on(rank);
    const std::uint64_t tasks = master.leased(rank);
    master.lost(rank);
    link.lose(rank);
    Seen& of_rank = seen[static_cast<std::size_t>(rank)];
    of_rank.death = base::describe(death);
    std::string line = fmt::format("echelon: rank {} on {} {}; ", rank, of_rank.host, of_rank.death);
    const bool is_there = death.how == base::Death::How::silent || death.how == base::Death::How::stopped;
    if (place.launcher == "mpirun" && place.outlives_ranks == false && !is_there) {
      line += "mpirun ends the job with it. Start it by -n RANKS, or mpirun --enable-recovery, and the others go on";
    } else if (master.live_workers() == 0 && !here_works) {
      line += "no worker is left";
      if (take_over()) line += ", so the master runs the remaining tasks itself, each in a process of its own";
    } else if (tasks == 0) {
      line += "it held no tasks";
    } else {
      line += fmt::format("its {} unfinished task{} {} given to others", tasks, tasks == 1 ? "" : "s",
                          tasks == 1 ? "is" : "are");
    }
    line += "\n";
    std::fwrite(line.data(), 1, line.size(), stderr);
    for (const farm::JobId id : touched) close_if_finished(id);
  }

  /// From now on this rank runs the tasks, where they cannot take it along.
  bool take_over() {
    if (nursery == nullptr) return false;
    takes_over = here_works = true;
    master.isolate_here(true);
    master.set_here(true);
    return true;
  }

  // ---- what is to be done ----

  void perform(const farm::Action& action) {
    if (const auto* give = std::get_if<farm::Give>(&action)) {
      send_tasks(give->worker, give->chunk);
    } else if (const auto* read = std::get_if<farm::Read>(&action)) {
      read_input(*read);
    } else if (const auto* back = std::get_if<farm::TakeBack>(&action)) {
      ++seen[static_cast<std::size_t>(back->worker)].unanswered;
      link.request(back->worker, back->upto);
    } else {
      const auto& gone = std::get<farm::GiveUp>(action);
      ++tasks_failed;
      OpenJob& open = jobs.at(gone.job);
      ++open.done;
      if (open.job) {
        const bool known = gone.worker >= 0;
        const OwnProcesses own = open.own_processes[gone.task];
        const std::string death = gone.lost >= 0 ? seen[static_cast<std::size_t>(gone.lost)].death : "";
        open.job->error({gone.task, gone.worker, known ? seen[static_cast<std::size_t>(gone.worker)].host : "no host",
                         own.crashes < gone.crashes ? "worker lost" : "crashed",
                         why_given_up(gone.crashes, own, death, !known), gone.attempts});
      }
      open.finish({gone.job, gone.task, 1});
      close_if_finished(gone.job);
    }
  }

  /// Whether this thread may read the job's input: its own may, and in its place any while that one is busy with a task
  /// on this rank, as the others would have nothing to do.
  [[nodiscard]] bool may_read(const OpenJob& open) const {
    return open.reader == std::this_thread::get_id() || open.reader == runs_task.load(std::memory_order_relaxed) ||
           (open.job && open.job->reads_anywhere);
  }

  void read_input(const farm::Read& read) {
    OpenJob& open = jobs.at(read.job);
    if (!may_read(open)) {
      master.hold(read.job, true);
      held.push_back(read.job);
      return;
    }
    Block block;
    block.first = open.read;
    if (open.argument_size) block.bytes->reserve(std::min<std::uint64_t>(read.count, 1024) * *open.argument_size);
    std::uint64_t count = 0;
    const bool ended = open.job->read(*block.bytes, read.count, [&] {
      ++count;
      if (!open.argument_size) block.ends.push_back(block.bytes->size());
    });
    if (open.argument_size && *open.argument_size > 0) count = block.bytes->size() / *open.argument_size;
    block.count = block.unfinished = count;
    const std::uint64_t bytes = block.bytes->size();
    open.read += count;
    open.ended = ended;
    if (count > 0) open.blocks.push_back(std::move(block));
    master.read(read.job, count, ended, bytes);
    close_if_finished(read.job);
  }

  /// To each worker by itself: a rank that gave out its node's chunks would save the master 5 us of CPU for each (by
  /// TCP; tests/bench/nodes.sh), of which it has enough for 200 workers with chunks of 1 ms, and beyond with longer
  /// ones.
  void send_tasks(int worker, const farm::Chunk& chunk) {
    OpenJob& open = jobs.at(chunk.tasks.job);
    // A process of its own needs the function too.
    const bool once = chunk.isolated || (open.job && open.job->options.tasks == 1);
    const auto slot = static_cast<std::size_t>(worker);
    const bool has_function = !chunk.isolated && !open.has_function.empty() && open.has_function[slot];
    const comm::Packer* function = open.job && !has_function ? &open.job->function : nullptr;
    out.put(ToWorker::tasks);
    out.put(TasksHead{chunk, function == nullptr ? 0 : function->size(), open.argument_size.value_or(varies), open.type,
                      function != nullptr, once});
    if (function != nullptr) out.bytes(function->view().data(), function->size());
    auto shared = open.shared_arguments(chunk.tasks);
    if (shared.bytes.empty()) open.copy_arguments(chunk.tasks, out);
    link.mailbox().send(worker, out, std::move(shared));
    if (function != nullptr && !once) {
      open.has_function.resize(seen.size());
      open.has_function[slot] = true;
    }
  }

  /// Runs tasks on this rank, without the lock; false where there is nothing to do here now.
  bool work_here(Inside& inside) {
    const auto action = master.next_here();
    if (!action) return false;
    const auto* give = std::get_if<farm::Give>(&*action);
    if (give == nullptr) {
      perform(*action);
      return true;
    }
    const farm::Tasks tasks = give->chunk.tasks;
    OpenJob& open = jobs.at(tasks.job);
    const std::shared_ptr<Job> job = open.job;  // lives until the tasks have run, even if it is cancelled meanwhile
    const bool isolated = give->chunk.isolated && nursery != nullptr;
    if (!isolated && !open.here) open.here = std::make_unique<Function>(*job->type, job->function.view());
    arguments.clear();
    open.copy_arguments(tasks, arguments);
    TasksHead head{give->chunk, job->function.size(), open.argument_size.value_or(varies), open.type, true, true};
    const Function* const function = open.here.get();
    if (session.size() > 1) start_own_thread();  // keeps the workers busy meanwhile
    std::vector<comm::Packer> messages;          // copies: what takes the results may run tasks here again
    inside.outside([&] {
      runs_task = std::this_thread::get_id();
      if (isolated) {
        messages = run_isolated(head, job->function.view());
      } else {
        runner.run(*function, tasks, head.argument_size, arguments.view(), account.clock);
        std::swap(messages.emplace_back(), runner.message());
        runner.begin();
      }
      runs_task = std::thread::id{};
    });
    account.tasks += tasks.count;
    account.items += tasks.count;
    for (const comm::Packer& message : messages) take_message(0, comm::Unpacker{message.view()});
    phase = measure::Phase::communicate;  // as the runner left it
    return true;
  }

  std::vector<comm::Packer> run_isolated(TasksHead& head, std::span<const std::byte> function) {
    account.clock.enter(measure::Phase::compute);
    std::vector<comm::Packer> messages;
    auto left = arguments.view();
    const farm::Tasks tasks = head.chunk.tasks;
    for (std::uint64_t task = tasks.first; task < tasks.end(); ++task) {
      head.chunk.tasks = {tasks.job, task, 1};
      messages.push_back(nursery->run(head, function, take_argument(left, head.argument_size)));
    }
    account.clock.enter(measure::Phase::communicate);
    return messages;
  }

  /// The program's thread has begun to wait, or has found something to do.
  void enter(measure::Phase next) {
    if (next != phase) account.clock.enter(next);
    phase = next;
  }

  [[nodiscard]] bool nobody_is_left() const { return session.size() > 1 && master.live_workers() == 0 && !here_works; }

  const comm::Session& session;
  Nursery* const nursery;
  const comm::Placement place = comm::placement();
  comm::Link link;
  farm::Master master;
  bool here_works;
  bool takes_over = false;  // as no worker is left
  int pools_here_works_for = 0;
  int open_pools = 0;
  std::vector<comm::LivenessMonitor::Lost> losses;  // while no pool was open
  std::unordered_map<farm::JobId, OpenJob> jobs;
  std::vector<Seen> seen;  // by rank
  std::unordered_map<int, measure::Books> books;
  comm::Packer out;        // scratch
  comm::Packer arguments;  // scratch
  Runner runner;
  measure::Account account;
  measure::Phase phase = measure::Phase::wait;
  std::uint64_t tasks_done = 0;
  std::uint64_t tasks_failed = 0;
  std::uint64_t taken = 0;  // results out of windows
  bool has_left = false;
  bool jobs_are_stopped = false;   // those that were there by then
  std::optional<int> exit_status;  // of a worker whose task called exit()
  std::vector<farm::JobId> held;   // jobs whose input waits for the thread that reads it
  std::vector<std::function<void()>> deferred;
  std::exception_ptr broken;  // after which nothing is done any more

  std::mutex mutex;  // of all above
  std::atomic<std::thread::id> owner;
  std::atomic<std::thread::id> runs_task;  // on this rank
  std::atomic<int> wanted{0};
  std::mutex callback_mutex;
  std::exception_ptr callback_error;

  std::thread own_thread;
  std::atomic<bool> own_thread_is_awake{false};
  std::atomic<bool> own_thread_calls{false};  // back
  std::mutex sleep_mutex;
  std::condition_variable wake;
  bool stopping = false;
};

Crew::Crew(const comm::Session& session, Nursery* nursery) : impl_{std::make_unique<Impl>(session, nursery)} {}

Crew::~Crew() = default;

void Crew::end() { impl_.pointer.reset(); }

farm::JobId Crew::submit(std::shared_ptr<Job> job, bool waits) {
  const CodeAddress type = encode(job->type);
  const Impl::Inside inside{*impl_, waits};
  return impl_->guarded([&] {
    const bool is_empty = job->options.tasks == 0;
    const farm::JobId id = impl_->master.open(job->options);
    OpenJob& open = impl_->jobs[id];
    open.argument_size = job->argument_size;
    open.type = type;
    open.reader = std::this_thread::get_id();
    open.job = std::move(job);
    impl_->jobs_are_stopped = false;
    if (is_empty) {  // for which no worker need be free
      open.ended = true;
      impl_->master.read(id, 0, true);
      impl_->close_if_finished(id);
    }
    impl_->look();
    return id;
  });
}

void Crew::cancel(farm::JobId id) {
  const Impl::Inside inside{*impl_};
  const auto found = impl_->jobs.find(id);
  if (found == impl_->jobs.end()) return;
  if (const auto job = std::exchange(found->second.job, nullptr)) job->cancelled();
  impl_->master.cancel(id);
  impl_->close_if_finished(id);
  impl_->look();  // takes back what workers have not begun, before they do
}

bool Crew::is_finished(farm::JobId id) {
  const Impl::Inside inside{*impl_};
  return !impl_->jobs.contains(id);
}

bool Crew::has_ended(farm::JobId id) const { return !impl_->jobs.contains(id); }

std::size_t Crew::open_jobs() const { return impl_->jobs.size(); }

bool Crew::wait(const std::function<bool()>& done, std::optional<Clock::time_point> limit,
                std::optional<farm::JobId> consumed) {
  Impl::Inside inside{*impl_};
  comm::Backoff backoff;
  for (bool late = false;;) {
    if (done()) {
      if (consumed && impl_->jobs.contains(*consumed)) impl_->master.consumed(*consumed, 1);
      // Who takes many results that are there already still keeps the workers busy.
      if (consumed && ++impl_->taken % look_after_taking == 0) impl_->look();
      impl_->run_deferred(inside);
      return true;
    }
    if (late) return false;
    if (consumed) {
      if (const auto job = impl_->jobs.find(*consumed); job != impl_->jobs.end()) {
        job->second.reader = std::this_thread::get_id();
      }
    }
    bool any = impl_->look();
    if (impl_->exit_status) inside.outside([&] { std::exit(*impl_->exit_status); });
    impl_->enter(any ? measure::Phase::communicate : measure::Phase::wait);
    any = impl_->run_deferred(inside) || any;
    if (!any && impl_->here_works) any = impl_->guarded([&] { return impl_->work_here(inside); });
    late = limit && Clock::now() >= *limit;
    inside.let_others();
    if (any) {
      backoff = {};
    } else if (!late) {
      impl_->session.check_calls();  // or workers may never serve
      if (impl_->nobody_is_left()) {
        throw WorkersLost(
            fmt::format("all {} workers are lost; what is unfinished stays so", impl_->session.size() - 1));
      }
      backoff.pause();
    }
  }
}

void Crew::locked(const std::function<void()>& what) {
  Impl::Inside inside{*impl_};
  what();
  impl_->run_deferred(inside);
}

void Crew::finish_callbacks() {
  Impl::Inside inside{*impl_};
  for (comm::Backoff backoff;;) {
    const bool elsewhere = impl_->own_thread_calls.load(std::memory_order_acquire) &&
                           impl_->own_thread.get_id() != std::this_thread::get_id();
    if (!impl_->run_deferred(inside) && !elsewhere) return;
    inside.outside([&] { backoff.pause(); });  // that callback may want something of the pool
  }
}

void Crew::defer(std::function<void()> callback) { impl_->deferred.push_back(std::move(callback)); }

std::exception_ptr Crew::take_callback_error() {
  const std::lock_guard guard{impl_->callback_mutex};
  return std::exchange(impl_->callback_error, nullptr);
}

void Crew::let_master_work(int change) {
  const Impl::Inside inside{*impl_};
  impl_->pools_here_works_for += change;
  impl_->here_works = impl_->pools_here_works_for > 0 || impl_->session.size() == 1 || impl_->takes_over;
  impl_->master.set_here(impl_->here_works);
}

int Crew::workers() const {
  const Impl::Inside inside{*impl_};
  return impl_->master.live_workers() + (impl_->here_works ? 1 : 0);
}

bool Crew::isolates() const noexcept { return impl_->nursery != nullptr; }

measure::Record Crew::report() {
  const auto asked_of_all_answered = [&] {
    for (int rank = 1; rank < impl_->session.size(); ++rank) {
      if (impl_->master.is_live(rank) && !impl_->books.contains(rank)) return false;
    }
    return true;
  };
  {
    const Impl::Inside inside{*impl_};
    impl_->books.clear();
    for (int rank = 1; rank < impl_->session.size(); ++rank) {
      if (!impl_->master.is_live(rank)) continue;
      impl_->out.put(ToWorker::books);
      impl_->link.mailbox().send(rank, impl_->out);
    }
  }
  if (impl_->session.size() > 1 && impl_->master.live_workers() > 0) wait(asked_of_all_answered);

  const Impl::Inside inside{*impl_};
  std::vector<measure::Books> ranks;
  ranks.push_back(measure::close(impl_->account, 0, impl_->session.between_nodes(), ""));
  impl_->phase = measure::Phase::wait;  // in which close() leaves the clock
  for (int rank = 1; rank < impl_->session.size(); ++rank) {
    if (const auto found = impl_->books.find(rank); found != impl_->books.end()) {
      ranks.push_back(found->second);
      continue;
    }
    const Seen& seen = impl_->seen[static_cast<std::size_t>(rank)];
    measure::Books books{.record = {.rank = static_cast<std::uint64_t>(rank),
                                    .host = seen.host,
                                    .cpus = seen.cpus,
                                    .role = "worker",
                                    .tasks = seen.tasks,
                                    .items = seen.tasks,
                                    .compute_s = std::chrono::duration<double>{seen.compute}.count(),
                                    .lost = true},
                         .usable_cpus = ranks.front().usable_cpus,
                         .isa = ""};
    ranks.push_back(books);
  }
  std::vector<std::string> lost;
  std::vector<std::string> deaths;
  for (const int rank : impl_->session.lost()) {
    const Seen& seen = impl_->seen[static_cast<std::size_t>(rank)];
    lost.push_back(fmt::format("rank {} on {}", rank, seen.host));
    deaths.push_back(fmt::format("{} {}", lost.back(), seen.death));
  }
  measure::Record record = analysis::assemble({.command = "pool",
                                               .argv = {},
                                               .started_at = impl_->account.started_at,
                                               .parameters = {{"master_works", impl_->here_works}},
                                               .result = {{"tasks", impl_->tasks_done},
                                                          {"failed", impl_->tasks_failed},
                                                          {"lost_ranks", lost},
                                                          {"deaths", deaths}},
                                               .repetitions_s = {},
                                               .threads = 1,
                                               .mpi = comm::Session::library(),
                                               .launcher = comm::launcher()},
                                              std::move(ranks));
  return record;
}

void Crew::begin_pool() {
  const Impl::Inside inside{*impl_};
  ++impl_->open_pools;
  impl_->take_losses();
}

void Crew::end_pool() {
  const Impl::Inside inside{*impl_};
  --impl_->open_pools;
  if (impl_->session.size() == 1) return;
  for (int rank = 1; rank < impl_->session.size(); ++rank) {
    if (!impl_->master.is_live(rank)) continue;
    impl_->out.put(ToWorker::pool_ended);
    impl_->link.mailbox().send(rank, impl_->out);
  }
  // Where the crew has no thread of its own, nobody would send the rest later.
  comm::Backoff backoff;
  for (impl_->look(); !impl_->session.is_serialized() && !impl_->link.mailbox().has_sent_all(); impl_->look()) {
    backoff.pause();
  }
}

void Crew::leave() {
  if (impl_->session.size() == 1) return;  // also within a task
  const Impl::Inside inside{*impl_};
  impl_->has_left = true;
  impl_->take_losses();
  std::set<int> busy;
  for (int rank = 1; rank < impl_->session.size(); ++rank) {
    if (!impl_->master.is_live(rank)) continue;
    busy.insert(rank);
    impl_->out.put(ToWorker::leave);
    impl_->out.put(!impl_->session.lost().empty());
    impl_->link.mailbox().send(rank, impl_->out);
  }
  const auto limit = Clock::now() + leave_limit;
  for (bool all_have_left = false; !all_have_left;) {
    all_have_left = impl_->link.all_have_left(1ms);
    while (const auto message = impl_->link.mailbox().receive()) {
      if (comm::Unpacker{message->body}.get<ToMaster>() == ToMaster::leaves) busy.erase(message->from);
    }
    for (const auto& news : impl_->link.news()) {
      const auto* lost = std::get_if<comm::LivenessMonitor::Lost>(&news);
      // One that has left owes its answers, and counts as lost without; but nobody needs them any more.
      if (lost == nullptr || impl_->seen[static_cast<std::size_t>(lost->rank)].unanswered == 0) impl_->take(news);
    }
    impl_->take_losses();
    if (all_have_left || Clock::now() < limit) continue;
    for (const int rank : std::exchange(busy, {})) impl_->link.lose(rank);
  }
  impl_->link.say_goodbye();
}

void Crew::abandon() { impl_->link.end_all(); }

void Crew::follow_exit() {
  std::optional<int> status;
  locked([&] { status = impl_->exit_status; });
  if (status) std::exit(*status);
}

// ---- the session's crew ----

namespace {

struct Assembled {
  Assembled() = default;
  ~Assembled() {
    if (crew) crew->end();  // pools and results may live on
  }
  Assembled(const Assembled&) = delete;
  Assembled& operator=(const Assembled&) = delete;

  std::shared_ptr<Crew> crew;      // on the master
  std::shared_ptr<Server> server;  // elsewhere
};

Assembled& assembled(const comm::Session& session) {
  std::shared_ptr<void>& kept = session.kept(typeid(Assembled));
  if (!kept) kept = std::make_shared<Assembled>();
  return *static_cast<Assembled*>(kept.get());
}

}  // namespace

std::shared_ptr<Crew> crew(const comm::Session& session) { return assembled(session).crew; }

void assemble(const comm::Session& session, Nursery* nursery) {
  Assembled& all = assembled(session);
  if (all.crew || all.server) {
    // It must not wait: workers may be serving another pool meanwhile.
    const auto begin = [&] { comm::Collective::begin(session, comm::Call::pool); };
    if (session.has_collectives()) all.crew ? all.crew->locked(begin) : begin();
    return;
  }
  const comm::Collective call{session, comm::Call::pool};
  if (session.is_master()) {
    all.crew = std::make_shared<Crew>(session, nursery);
  } else {
    all.server = std::make_shared<Server>(session, nursery);
  }
}

void serve(const comm::Session& session, Until until) { assembled(session).server->serve(until); }

void tell_exit(const comm::Session& session, int status) {
  if (Assembled& all = assembled(session); all.server) all.server->tell_exit(status);
}

}  // namespace echelon::pool::detail
