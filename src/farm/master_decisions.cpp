#include <algorithm>

#include <echelon/farm/master.hpp>

/// What Master decides: whom to give what, and in which order.
namespace echelon::farm {
namespace {

/// What the master's own rank takes at a time, as it does not hear the others meanwhile.
constexpr std::chrono::nanoseconds here_time{200'000};
/// Unbegun work that is not worth taking back.
constexpr std::chrono::nanoseconds small_time{200'000};
/// Of the retries that wait, so many are looked at; the others wait for these.
constexpr std::size_t retries_looked_at = 16;
constexpr std::chrono::nanoseconds short_task{10'000};
constexpr std::uint64_t short_read = 64;

std::uint64_t divide_up(std::uint64_t a, std::uint64_t b) { return a / b + (a % b == 0 ? 0 : 1); }

/// At least one task, and no more than can be counted.
std::uint64_t whole_tasks(double tasks) { return static_cast<std::uint64_t>(std::clamp(tasks, 1.0, 1e18)); }

double tasks_in(std::chrono::nanoseconds time, double task_ns) { return static_cast<double>(time.count()) / task_ns; }

}  // namespace

std::uint64_t Master::room(const Job& job) {
  const std::uint64_t open = job.given - std::min(job.given, job.consumed);
  return job.options.window - std::min(job.options.window, open);
}

bool Master::can_take(const Worker& w, const Job& job) const {
  if (w.leases.empty()) return true;
  if (job.options.prefetch) return w.leases.size() <= std::min(*job.options.prefetch, max_leases - 1);
  if (job.options.schedule == schedule::Schedule::fixed) return false;  // a chunk a worker
  if (w.leases.size() < 2) return true;
  const double task_ns = job.estimate->task_ns();
  if (w.leases.size() >= max_leases || task_ns == 0) return false;
  const auto held = static_cast<double>(w.tasks);
  return held * task_ns < static_cast<double>(job.options.ahead.count()) && held * job.task_bytes() < 2.0 * chunk_bytes;
}

std::uint64_t Master::chunk_size(Job& job) const {
  const std::uint64_t window = job.options.window;
  if (job.next_chunk > 0) return std::min(job.next_chunk, window);
  std::uint64_t size = 1;
  if (job.chunks) {
    const auto chunk = job.chunks->at(job.chunk_number++);
    if (chunk) size = chunk->count;
  } else if (job.options.chunk) {
    size = *job.options.chunk;
  } else if (const double task_ns = job.estimate->task_ns(); task_ns > 0) {
    const auto workers = static_cast<std::uint64_t>(std::max(1, live_));
    double most = std::min(tasks_in(chunk_time, task_ns), 1 + 2 * job.estimate->tasks);
    if (job.bytes > 0) most = std::min(most, chunk_bytes / job.task_bytes());
    size = std::min(whole_tasks(most), window / (4 * workers));
    if (job.options.tasks) {
      const std::uint64_t left = *job.options.tasks - std::min(*job.options.tasks, job.given);
      size = std::min(size, divide_up(left, 2 * workers));
    }
  }
  job.next_chunk = std::max<std::uint64_t>(1, size);
  return std::min(job.next_chunk, window);
}

Give Master::give(int worker, Job& job, const Tasks& tasks, std::optional<Suspicion> careful) {
  Worker& w = at(worker);
  const bool isolated = careful ? !careful->undecided : job.options.isolated || (w.here && here_isolates_all_);
  const Chunk chunk{tasks, w.sent, careful.has_value(), isolated};
  w.sent += tasks.count;
  w.leases.push_back(chunk);
  w.tasks += tasks.count;
  w.careful = careful;
  job.leased += tasks.count;
  settle(worker);
  return {worker, chunk};
}

std::optional<Action> Master::next() {
  while (!given_up_.empty()) {
    const GiveUp one = given_up_.front();
    given_up_.pop_front();
    Job* const job = find(one.job);
    if (job == nullptr) continue;
    ++job->finished;
    return one;
  }
  if (!retries_.empty()) {
    if (auto action = next_retry(false)) return action;
  }
  if (auto action = next_of_jobs(false)) return action;
  if (auto action = next_take_back(loads_first_[0] != none)) return action;
  return next_suspect(false);
}

std::optional<Action> Master::next_here() {
  if (!has_here_ || !at(here_worker).leases.empty()) return std::nullopt;
  if (auto action = next_retry(true)) return action;
  if (auto action = next_of_jobs(true)) return action;
  if (auto action = next_take_back(true)) return action;
  return next_suspect(true);
}

std::optional<Action> Master::next_suspect(bool here) {
  while (!suspects_.empty() && find(suspects_.front().tasks.job) == nullptr) suspects_.pop_front();
  if (suspects_.empty()) return std::nullopt;
  Suspects& front = suspects_.front();
  // Not on the master itself: the run would go with it.
  const bool nobody = live_ == 0 && has_here_;
  const bool hopeless = nobody && (front.how.undecided || !here_isolates_);
  int worker = here ? here_worker : loads_first_[0];
  if (here ? !nobody || hopeless : nobody && !hopeless) return std::nullopt;
  // What comes back is for whoever is idle.
  if (!hopeless && (worker == none || asked_ > 0)) return std::nullopt;
  const Tasks tasks{front.tasks.job, front.tasks.first, 1};
  const Suspicion how = front.how;
  ++front.tasks.first;
  if (--front.tasks.count == 0) suspects_.pop_front();
  Job& job = jobs_.at(tasks.job);
  const auto found = job.trouble.find(tasks.first);
  if (hopeless) {
    ++job.finished;
    unsigned attempts = how.crashes;
    if (found != job.trouble.end()) {
      found->second.crashes = how.crashes;
      attempts = found->second.attempts();
      job.trouble.erase(found);
    }
    return GiveUp{tasks.job, tasks.first, none, how.crashes, attempts, how.lost};
  }
  if (found != job.trouble.end() && !here) {
    const std::vector<int>& tried = found->second.tried;
    while (worker != none && std::ranges::find(tried, worker) != tried.end()) worker = at(worker).after;
    if (worker == none) worker = loads_first_[0];
  }
  return give(worker, job, tasks, how);
}

bool Master::tried_by_all(const Trouble& trouble) const {
  for (std::size_t worker = 0; worker < workers_.size(); ++worker) {
    if (!workers_[worker].live) continue;
    if (std::ranges::find(trouble.tried, static_cast<int>(worker)) == trouble.tried.end()) return false;
  }
  return true;
}

std::optional<Action> Master::next_retry(bool here) {
  std::size_t looked_at = 0;
  for (auto at_retry = retries_.begin(); at_retry != retries_.end() && looked_at < retries_looked_at;) {
    Job* const found = find(at_retry->job);
    if (found == nullptr) {
      at_retry = retries_.erase(at_retry);
      continue;
    }
    ++looked_at;
    Job& job = *found;
    Trouble& trouble = job.trouble[at_retry->task];
    if (tried_by_all(trouble)) trouble.tried.clear();
    const auto fits = [&](int worker) { return std::ranges::find(trouble.tried, worker) == trouble.tried.end(); };
    int chosen = none;
    if (here) {
      if (fits(here_worker)) chosen = here_worker;
    } else {
      std::size_t load = 0;
      while (load < max_leases && loads_first_[load] == none) ++load;
      // Where everyone has two leases, of other jobs perhaps, it need not wait for one who has less.
      bool anyone = load >= 2;
      for (; load < max_leases && chosen == none; ++load, anyone = false) {
        for (int worker = loads_first_[load]; worker != none && chosen == none; worker = at(worker).after) {
          if (!anyone && !can_take(at(worker), job)) {
            load = max_leases;  // nor can those with more
            break;
          }
          if (fits(worker)) chosen = worker;
        }
      }
    }
    if (chosen != none) {
      const Tasks tasks{at_retry->job, at_retry->task, 1};
      retries_.erase(at_retry);
      return give(chosen, job, tasks);
    }
    ++at_retry;
  }
  return std::nullopt;
}

std::optional<Action> Master::next_of_jobs(bool here) {
  for (std::size_t left = ready_.size(); left > 0; --left) {
    const JobId id = ready_.front();
    Job* const found = find(id);
    if (found == nullptr) {
      ready_.pop_front();
      continue;
    }
    Job& job = *found;
    const std::uint64_t available = job.read - job.given;
    const bool can_read = !job.ended && !job.held;
    if (job.returned.empty() && ((available == 0 && !can_read) || room(job) == 0)) {
      job.ready = false;
      ready_.pop_front();
      continue;
    }
    int worker = here ? here_worker : none;
    if (!here) {
      for (std::size_t load = 0; load <= max_leases && worker == none; ++load) worker = loads_first_[load];
      if (worker == none) return std::nullopt;  // for no job
      if (!can_take(at(worker), job)) worker = none;
      // What was taken back for the master's own rank is not to return to where it came from.
      if (worker != none && has_here_ && !job.returned.empty() && !at(worker).leases.empty()) worker = none;
    }
    const auto rotate = [&] {
      if (ready_.size() == 1) return;
      ready_.pop_front();
      ready_.push_back(id);
    };
    if (worker == none) {
      // A job of less prefetch than others could wait for ever; after a round of theirs nobody gets more but it.
      if (!here) {
        if (!job.waits_since) job.waits_since = gives_;
        if (gives_ - *job.waits_since > static_cast<std::uint64_t>(live_)) return std::nullopt;
      }
      rotate();
      continue;
    }
    const double task_ns = job.estimate->task_ns();
    const std::uint64_t most = here && here_isolates_all_ ? 1
                               : !here || job.chunks      ? UINT64_MAX
                               : task_ns == 0             ? 1
                                                          : whole_tasks(tasks_in(here_time, task_ns));
    Tasks tasks{id, 0, 0};
    if (!job.returned.empty()) {
      Tasks& front = job.returned.front();
      const auto shares = static_cast<std::uint64_t>(std::max(1, live_ + (has_here_ ? 1 : 0)));
      tasks.first = front.first;
      tasks.count = std::min(divide_up(front.count, shares), most);
      front.first += tasks.count;
      front.count -= tasks.count;
      if (front.count == 0) job.returned.pop_front();
    } else {
      const std::uint64_t size = std::min(chunk_size(job), most);
      if (room(job) < size) {  // rather a whole chunk later than crumbs now
        job.ready = false;
        ready_.pop_front();
        continue;
      }
      if (available < size && can_read) {
        // Short tasks are read several chunks at a time: asking costs more than they do.
        const bool short_ones = task_ns > 0 && task_ns < static_cast<double>(short_task.count());
        return Read{id, std::min(room(job), short_ones ? std::max(size, short_read) : size) - available};
      }
      if (available == 0) {
        rotate();
        continue;
      }
      tasks.first = job.given;
      tasks.count = std::min(size, available);
      job.given = tasks.end();
      // The rest of a schedule's chunk, where the window or what was read was smaller, comes next.
      job.next_chunk = job.chunks ? job.next_chunk - tasks.count : 0;
    }
    at(worker).may_take_back = true;
    job.waits_since.reset();
    ++gives_;
    rotate();
    return give(worker, job, tasks);
  }
  return std::nullopt;
}

std::optional<Action> Master::next_take_back(bool someone_is_idle) {
  const auto ask = [&](int worker) {
    Worker& w = at(worker);
    w.taking_back = true;
    ++asked_;
    settle(worker);
    return TakeBack{worker, w.sent};
  };
  while (!cancelled_on_.empty()) {
    const int worker = cancelled_on_.back();
    cancelled_on_.pop_back();
    const Worker& w = at(worker);
    if (w.live && !w.taking_back && w.tasks > 0) return ask(worker);
  }
  if (!someone_is_idle) return std::nullopt;
  int most = none;
  for (std::size_t load = 1; load <= max_leases; ++load) {
    for (int worker = loads_first_[load]; worker != none; worker = at(worker).after) {
      const Worker& w = at(worker);
      if (!w.may_take_back || w.tasks < 2 || (most != none && w.tasks <= at(most).tasks)) continue;
      const double task_ns = jobs_.at(w.leases.front().tasks.job).estimate->task_ns();
      if (task_ns > 0 && static_cast<double>(w.tasks - 1) * task_ns < static_cast<double>(small_time.count())) continue;
      most = worker;
    }
  }
  if (most == none) return std::nullopt;
  return ask(most);
}

}  // namespace echelon::farm
