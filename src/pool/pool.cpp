#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/format.h>

#include <echelon/comm/roster.hpp>
#include <echelon/pool/pool.hpp>

namespace echelon::pool {

TaskError::TaskError(std::uint64_t task, int on_rank, std::string on_host, std::string thrown, std::string text,
                     unsigned times)
    : index{task},
      rank{on_rank},
      host{std::move(on_host)},
      type{std::move(thrown)},
      message{std::move(text)},
      attempts{times},
      text_{fmt::format("task {} failed on rank {} ({}){}: {}{}{}", index, rank, host,
                        attempts > 1 ? fmt::format(" after {} attempts", attempts) : "", type,
                        message.empty() ? "" : ": ", message)} {}

std::string Stopped::text(const StoppedAt& where) {
  const char* const name = where.signal == 0 ? nullptr : sigabbrev_np(where.signal);
  const std::string of = where.tasks ? fmt::format(" of {}", *where.tasks) : "";
  return fmt::format("stopped {}: {}{} tasks are done", name == nullptr ? "on request" : fmt::format("by {}", name),
                     where.done, of);
}

Pool::Pool(const comm::Session& session, PoolOptions options)
    : session_{session}, options_{std::move(options)}, exceptions_at_start_{std::uncaught_exceptions()} {
  detail::assemble(session);
  crew_ = detail::crew(session);
  if (crew_) crew_->begin_pool();
  if (crew_ && options_.master_works) crew_->let_master_work(1);
}

Pool::~Pool() {
  if (!crew_) {
    serve_to_the_end();
    return;
  }
  if (crew_->is_over()) return;
  try {
    if (std::uncaught_exceptions() > exceptions_at_start_) {
      terminate();
    } else {
      close();
      join();
    }
  } catch (const comm::RankLost&) {  // which is told already
  } catch (const std::exception& e) {
    std::fprintf(stderr, "echelon: at the end of a pool: %s\n", base::what_of(e));
  } catch (...) {
    std::fprintf(stderr, "echelon: at the end of a pool: something was thrown that is not a std::exception\n");
  }
  try {
    // What could not be joined is given up: its callbacks may refer to what ends with the pool.
    if (!submitted_.empty()) terminate();
    if (options_.master_works) crew_->let_master_work(-1);
    crew_->end_pool();
  } catch (...) {  // a broken crew, which was told above or will be
  }
}

void Pool::serve() {
  if (crew_) throw std::logic_error("Pool::serve() is for the workers; this is the master");
  if (!std::exchange(served_, true)) detail::serve(session_, detail::Until::pool_ends);
}

/// A worker that has not called serve() does so now, or the master would wait for it.
void Pool::serve_to_the_end() noexcept {
  if (!session_.has_collectives() || std::uncaught_exceptions() > exceptions_at_start_) return;
  try {
    serve();
  } catch (const std::logic_error&) {  // a wrong call, which the next one on all ranks throws again
  } catch (const std::exception& e) {
    std::fprintf(stderr, "echelon: at the end of a pool: %s\n", base::what_of(e));
  }
}

void Pool::check_open() const {
  if (!crew_) throw std::logic_error("only the master's pool can be called; workers call serve()");
  if (closed_) throw std::logic_error("this pool is closed");
}

void Pool::set_options(detail::Job& job, const TaskOptions& options) const {
  const TaskOptions& own = options_.tasks;
  farm::JobOptions& to = job.options;
  to.chunk = options.chunk ? options.chunk : own.chunk;
  to.schedule = options.schedule ? options.schedule : own.schedule;
  to.prefetch = options.prefetch ? options.prefetch : own.prefetch;
  to.retries = options.retries.value_or(own.retries.value_or(to.retries));
  to.crash_limit = options.crash_limit.value_or(own.crash_limit.value_or(to.crash_limit));
  job.stoppable = options.stoppable.value_or(own.stoppable.value_or(true));
  to.isolated = options.isolate.value_or(own.isolate.value_or(false));
  if (to.isolated && !crew_->isolates()) {
    throw std::invalid_argument(
        "isolate: a process of its own for each task is only to be had in echelon::run, in a program that starts no "
        "thread before that");
  }
  if (to.chunk == 0) throw std::invalid_argument("chunk: 0 tasks a message is not possible; give 1 or more");
  if (to.crash_limit == 0) throw std::invalid_argument("crash_limit: give 1 or more");
  const bool needs_size = to.schedule && *to.schedule != schedule::Schedule::dynamic;
  if (needs_size && !to.tasks) {
    throw std::invalid_argument(fmt::format("schedule: {} needs an input whose size is known; use dynamic, or a vector",
                                            schedule::name(*to.schedule)));
  }
}

void Pool::submit(std::shared_ptr<detail::Job> job) { remember(submitted_, crew_->submit(std::move(job))); }

void Pool::remember(std::vector<farm::JobId>& jobs, farm::JobId job) {
  // Those that have ended are forgotten now and then, so that the list stays short.
  if (jobs.size() >= 1024 && jobs.size() == jobs.capacity()) {
    std::erase_if(jobs, [&](farm::JobId id) { return crew_->is_finished(id); });
    if (jobs.size() > jobs.capacity() / 2) jobs.reserve(2 * jobs.capacity());
  }
  jobs.push_back(job);
}

void Pool::run(const std::shared_ptr<detail::Job>& job, const std::function<bool()>& done) {
  const farm::JobId id = crew_->submit(job, true);
  try {
    crew_->wait(done);
  } catch (...) {
    crew_->cancel(id);
    throw;
  }
}

void Pool::join() {
  if (!closed_) throw std::logic_error("Pool::join() comes after close() or terminate()");
  if (!crew_) return;
  while (!submitted_.empty()) {
    const farm::JobId id = submitted_.back();
    crew_->wait([&] { return crew_->has_ended(id); });
    submitted_.pop_back();
  }
  crew_->finish_callbacks();
  if (const std::exception_ptr error = crew_->take_callback_error()) std::rethrow_exception(error);
}

void Pool::terminate() {
  closed_ = true;
  if (!crew_) return;
  for (const farm::JobId id : std::exchange(submitted_, {})) crew_->cancel(id);
  for (const farm::JobId id : std::exchange(streams_, {})) crew_->cancel(id);
  crew_->finish_callbacks();
}

int Pool::workers() const { return crew_ ? crew_->workers() : 0; }

measure::Record Pool::report() {
  if (!crew_) throw std::logic_error("only the master's pool reports");
  return crew_->report();
}

}  // namespace echelon::pool
