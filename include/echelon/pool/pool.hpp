#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <ranges>
#include <tuple>
#include <utility>
#include <vector>

#include <echelon/comm/session.hpp>
#include <echelon/measure/record.hpp>
#include <echelon/pool/async_result.hpp>
#include <echelon/pool/crew.hpp>
#include <echelon/pool/error.hpp>
#include <echelon/pool/jobs.hpp>
#include <echelon/pool/options.hpp>
#include <echelon/pool/results.hpp>
#include <echelon/pool/task_type.hpp>

namespace echelon::pool {

/// Python's multiprocessing.Pool over the ranks of a job: the master makes calls, the workers run them.
///
/// A task's function is a function, a lambda that captures trivially copyable values, or a function object with a
/// Boost.Serialization serialize(); arguments and results are trivially copyable, strings, standard containers, or have
/// a serialize(). All of it is copied to the worker and back, also where the master is alone and works itself.
///
/// A worker that dies loses nothing: its tasks are given to others. Any of them may be what it died of, so they run
/// once more after all other tasks, one by one, and within echelon::run each in a process of its own, which a crash
/// ends and not the worker. A task that crashes fails after TaskOptions::crash_limit times. When no worker is left, the
/// master's rank runs the rest in such processes.
///
/// A task that runs again must not count on what other tasks have left on a rank, as in static variables: it may run on
/// another rank, or in a copy of the program from before echelon::run. There is no MPI in that copy, and no pipe or
/// socket that was open before, but files are. A task that ends such a process by itself, as MPI does for one that
/// calls it, is run on a rank again before it is given up. A program that starts threads before echelon::run, an
/// attached session, and a Pool in echelon::parallel have no such processes: there suspects run on the ranks.
///
/// Where this differs from multiprocessing.Pool, and why:
/// - A task that fails never stops others: the rest of its chunk is run, and imap goes on after it with any chunk size.
/// - map throws the error of the lowest index, whoever failed first: the same one in each run.
/// - imap reads its input while results are taken, and holds a bounded number of both: memory does not grow. An input
/// is
///   read by the thread that waits for the results, or in its place while that one runs a task (master_works).
/// - A dead worker is never waited for; what a callback throws is thrown by join(), and stops nothing.
/// - The destructor waits for what was submitted, as losing it silently helps nobody; when an exception leaves the
///   pool's scope it terminates instead.
/// - A run that is asked to stop (Session::stop_requested()) gives out no task any more: what has begun ends, what has
///   not is given back, and the call throws Stopped with the results that are there. get() does so, and imap once it
///   has given them. Not where TaskOptions::stoppable is false.
/// - terminate() ends no task that runs: a rank cannot be started again. What it returns is dropped.
/// - An object that is a function is copied to each worker once a call, and keeps its state from task to task there.
/// - There is no initializer and no maxtasksperchild: static variables of a worker live as long as its rank.
///
/// For one thread, the one that the session belongs to; callbacks may call too, but a task that runs on the master's
/// rank, and an input while it is read, must not: std::logic_error.
class Pool {
 public:
  /// In echelon::run's body, on the master. In echelon::parallel's, and in a program of one's own (Session on a
  /// communicator): on all ranks, in the same order, after which the workers call serve(), or leave the pool's scope,
  /// which does the same. Where ranks do something else instead, std::logic_error says so (see comm::Collective).
  explicit Pool(const comm::Session& session, PoolOptions options = {});
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// On a worker, where it made the pool itself: runs tasks until the master's pool is destroyed. Of several pools at
  /// once, each is to be served, in any order; once is enough.
  void serve();

  /// All results, in the order of the input; an empty vector of an empty input. Functions of void give monostates.
  /// Throws the TaskError of the lowest index when all tasks have ended, and what the input threw.
  template <typename F, std::ranges::input_range Range>
  auto map(F function, Range&& range, TaskOptions options = {}) {
    return collect<detail::Call::whole>(std::move(function), range, options).values();
  }
  /// The same for tuples and pairs, whose parts are the arguments.
  template <typename F, std::ranges::input_range Range>
  auto starmap(F function, Range&& range, TaskOptions options = {}) {
    return collect<detail::Call::spread>(std::move(function), range, options).values();
  }
  /// As map, but each task's value or error instead of a throw.
  template <typename F, std::ranges::input_range Range>
  auto outcomes(F function, Range&& range, TaskOptions options = {}) {
    return collect<detail::Call::whole>(std::move(function), range, options).outcomes();
  }

  /// The same, later. The input is read at once.
  template <typename F, std::ranges::input_range Range>
  auto map_async(F function, Range&& range, TaskOptions options = {}) {
    return collect_async<detail::Call::whole>(std::move(function), range, options);
  }
  template <typename F, std::ranges::input_range Range>
  auto starmap_async(F function, Range&& range, TaskOptions options = {}) {
    return collect_async<detail::Call::spread>(std::move(function), range, options);
  }

  /// One call.
  template <typename F, typename... Arguments>
  requires(!std::same_as<std::remove_cvref_t<F>, TaskOptions>) auto apply_async(F function, Arguments&&... arguments) {
    return apply_async(TaskOptions{}, std::move(function), std::forward<Arguments>(arguments)...);
  }
  template <typename F, typename... Arguments>
  auto apply_async(TaskOptions options, F function, Arguments&&... arguments) {
    auto [promise, job] = one_task(options, function, std::forward<Arguments>(arguments)...);
    submit(std::move(job));
    return AsyncResult{std::move(promise)};
  }
  /// The same, waited for.
  template <typename F, typename... Arguments>
  auto apply(F function, Arguments&&... arguments) {
    auto [promise, job] = one_task(TaskOptions{}, function, std::forward<Arguments>(arguments)...);
    run(job, [waited = promise.get()] { return waited->is_ready(); });
    if (promise->error) std::rethrow_exception(promise->error);
    if constexpr (!std::is_void_v<detail::Result<detail::Call::spread, F, std::tuple<detail::Sent<Arguments>...>>>) {
      return std::move(*promise->value);
    }
  }

  /// Results in the order of the input, while they come. A range that is an lvalue must outlive the results.
  template <typename F, std::ranges::viewable_range Range>
  auto imap(F function, Range&& range, TaskOptions options = {}) {
    return stream(std::move(function), std::forward<Range>(range), options, farm::Order::of_input);
  }
  /// Results as they come.
  template <typename F, std::ranges::viewable_range Range>
  auto imap_unordered(F function, Range&& range, TaskOptions options = {}) {
    return stream(std::move(function), std::forward<Range>(range), options, farm::Order::as_they_come);
  }

  /// No more calls are taken; they throw std::logic_error.
  void close() noexcept { closed_ = true; }
  /// Waits for all that was submitted and for its callbacks, after close() or terminate(); throws the first thing that
  /// a callback threw. It does not wait for imap, which ends when its results are taken.
  void join();
  /// Gives up all that has not begun, and closes. What waits for its results throws std::runtime_error.
  void terminate();

  /// Ranks that run tasks, now.
  [[nodiscard]] int workers() const;
  /// Of all ranks of the session, from their start to now; lost ones are marked. Waits for workers in the middle of a
  /// task.
  [[nodiscard]] measure::Record report();

 private:
  template <detail::Call call, typename F, typename Range>
  auto collect(F function, Range& range, const TaskOptions& options) {
    using A = std::ranges::range_value_t<Range>;
    using R = std::remove_cvref_t<detail::Result<call, F, A>>;
    check_open();
    auto job = std::make_shared<detail::MapJob<detail::Borrowed<Range>, A, R>>(detail::Borrowed<Range>{range});
    detail::set_type<call, F, A>(*job, function);
    set_options(*job, options);
    run(job, [waited = job.get()] { return waited->is_finished; });
    if (job->input.error) std::rethrow_exception(job->input.error);
    if (job->stopped_at) throw job->collector.stopped(*job->stopped_at);
    return std::move(job->collector);
  }

  /// A job of one task, and what its result comes to.
  template <typename F, typename... Arguments>
  auto one_task(const TaskOptions& options, const F& function, Arguments&&... arguments) {
    using A = std::tuple<detail::Sent<Arguments>...>;
    using R = std::remove_cvref_t<detail::Result<detail::Call::spread, F, A>>;
    check_open();
    auto promise = std::make_shared<detail::Promise<R>>();
    promise->crew = crew_;
    auto job = std::make_shared<detail::ApplyJob<A, R>>(promise, A{std::forward<Arguments>(arguments)...});
    detail::set_type<detail::Call::spread, F, A>(*job, function);
    set_options(*job, options);
    return std::pair{std::move(promise), std::move(job)};
  }

  template <detail::Call call, typename F, typename Range>
  auto collect_async(F function, Range& range, const TaskOptions& options) {
    using A = std::ranges::range_value_t<Range>;
    using R = std::remove_cvref_t<detail::Result<call, F, A>>;
    using All = std::vector<detail::Kept<R>>;
    check_open();
    auto promise = std::make_shared<detail::Promise<All>>();
    promise->crew = crew_;
    auto job = std::make_shared<detail::AsyncMapJob<A, R>>(promise);
    detail::set_type<call, F, A>(*job, function);
    job->take(range);
    set_options(*job, options);
    submit(std::move(job));
    return AsyncResult<All>{std::move(promise)};
  }

  template <typename F, typename Range>
  auto stream(F function, Range&& range, const TaskOptions& options, farm::Order order) {
    using Given = std::remove_cvref_t<Range>;
    constexpr bool borrows = std::is_lvalue_reference_v<Range> && !std::ranges::view<Given>;
    using View = std::conditional_t<borrows, detail::Borrowed<std::remove_reference_t<Range>>, Given>;
    using A = std::ranges::range_value_t<View>;
    using R = std::remove_cvref_t<detail::Result<detail::Call::whole, F, A>>;
    check_open();
    auto job = std::make_shared<detail::ImapJob<View, A, R>>(View(std::forward<Range>(range)), order);
    detail::set_type<detail::Call::whole, F, A>(*job, function);
    set_options(*job, options);
    job->options.window = options.window.value_or(options_.tasks.window.value_or(default_window));
    auto results = std::make_unique<detail::ImapStream<View, A, R>>(crew_, std::move(job));
    remember(streams_, results->id());
    return Results<R>{std::move(results)};
  }

  static constexpr std::uint64_t default_window = 4096;

  void serve_to_the_end() noexcept;
  void check_open() const;
  void set_options(detail::Job& job, const TaskOptions& options) const;
  /// Submits a job and waits until it is `done`; where that throws, nothing of the job is used any more.
  void run(const std::shared_ptr<detail::Job>& job, const std::function<bool()>& done);
  void submit(std::shared_ptr<detail::Job> job);
  void remember(std::vector<farm::JobId>& jobs, farm::JobId job);

  const comm::Session& session_;
  PoolOptions options_;
  std::shared_ptr<detail::Crew> crew_;  // on the master
  std::vector<farm::JobId> submitted_;  // asynchronous ones that may not have ended
  std::vector<farm::JobId> streams_;    // the same of imap
  int exceptions_at_start_;
  bool closed_ = false;
  bool served_ = false;  // on a worker
};

}  // namespace echelon::pool
