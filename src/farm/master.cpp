#include <algorithm>
#include <stdexcept>
#include <string>

#include <echelon/farm/master.hpp>

namespace echelon::farm {
namespace {

constexpr int here_worker = 0;
constexpr int none = -1;
/// What the master's own rank takes at a time, as it does not hear the others meanwhile.
constexpr std::chrono::nanoseconds here_time{200'000};
/// Unbegun work that is not worth taking back.
constexpr std::chrono::nanoseconds small_time{200'000};
/// Of the retries that wait, so many are looked at; the others wait for these.
constexpr std::size_t retries_looked_at = 16;
constexpr std::chrono::nanoseconds short_task{10'000};
constexpr std::uint64_t short_read = 64;
constexpr double estimate_memory = 0.9;

std::uint64_t divide_up(std::uint64_t a, std::uint64_t b) { return a / b + (a % b == 0 ? 0 : 1); }

/// At least one task, and no more than can be counted.
std::uint64_t whole_tasks(double tasks) { return static_cast<std::uint64_t>(std::clamp(tasks, 1.0, 1e18)); }

double tasks_in(std::chrono::nanoseconds time, double task_ns) { return static_cast<double>(time.count()) / task_ns; }

}  // namespace

Master::Master(const std::vector<int>& workers, bool here) : has_here_{here} {
  int last = here_worker;
  for (const int worker : workers) last = std::max(last, worker);
  workers_.resize(static_cast<std::size_t>(last) + 1);
  loads_first_.assign(max_leases + 1, none);
  loads_last_.assign(max_leases + 1, none);
  for (const int worker : workers) {
    at(worker).live = true;
    ++live_;
    link(worker);
  }
  if (here) {
    at(here_worker).live = true;
    at(here_worker).here = true;
  }
}

void Master::set_here(bool here) {
  has_here_ = here;
  at(here_worker).live = here;
  at(here_worker).here = here;
}

std::vector<JobId> Master::jobs_on(int worker) const {
  std::vector<JobId> jobs;
  for (const Chunk& lease : workers_[static_cast<std::size_t>(worker)].leases) {
    if (jobs.empty() || jobs.back() != lease.tasks.job) jobs.push_back(lease.tasks.job);
  }
  std::ranges::sort(jobs);
  const auto repeated = std::ranges::unique(jobs);
  jobs.erase(repeated.begin(), repeated.end());
  return jobs;
}

// ---- lists of workers by load ----

void Master::link(int worker) {
  Worker& w = at(worker);
  w.load = std::min<std::size_t>(w.leases.size(), max_leases);
  w.after = none;
  w.before = loads_last_[w.load];
  (w.before == none ? loads_first_[w.load] : at(w.before).after) = worker;
  loads_last_[w.load] = worker;
}

void Master::unlink(int worker) {
  Worker& w = at(worker);
  const bool linked = w.before != none || loads_first_[w.load] == worker;
  if (!linked) return;
  (w.before == none ? loads_first_[w.load] : at(w.before).after) = w.after;
  (w.after == none ? loads_last_[w.load] : at(w.after).before) = w.before;
  w.before = w.after = none;
}

void Master::settle(int worker) {
  const Worker& w = at(worker);
  if (w.here) return;
  unlink(worker);
  if (w.live && !w.careful && !w.taking_back) link(worker);
}

// ---- jobs ----

JobId Master::open(const JobOptions& options) {
  const JobId id = next_job_++;
  Job& job = jobs_[id];
  job.options = options;
  job.options.window = std::max<std::uint64_t>(1, options.window);
  const auto workers = static_cast<std::uint64_t>(std::max(1, live_ + (has_here_ ? 1 : 0)));
  if (options.schedule && options.tasks) {
    const std::uint64_t least = options.chunk.value_or(*options.schedule == schedule::Schedule::dynamic
                                                           ? schedule::default_dynamic_chunk(*options.tasks, workers)
                                                           : 1);
    job.chunks.emplace(*options.schedule, *options.tasks, workers, std::max<std::uint64_t>(1, least));
  }
  job.estimate = &estimates_[options.kind];  // references into an unordered_map stay valid
  make_ready(id, job);
  return id;
}

void Master::make_ready(JobId id, Job& job) {
  if (job.ready || job.cancelled) return;
  job.ready = true;
  ready_.push_back(id);
}

void Master::read(JobId id, std::uint64_t count, bool ended, std::uint64_t bytes) {
  Job& job = jobs_.at(id);
  job.read += count;
  job.bytes += bytes;
  job.ended = job.ended || ended;
  make_ready(id, job);
}

void Master::hold(JobId id, bool held) {
  Job& job = jobs_.at(id);
  job.held = held;
  if (!held) make_ready(id, job);
}

void Master::consumed(JobId id, std::uint64_t count) {
  Job& job = jobs_.at(id);
  job.consumed += count;
  make_ready(id, job);
}

void Master::cancel(JobId id) {
  Job& job = jobs_.at(id);
  job.cancelled = true;
  job.returned.clear();
  job.ready = false;  // next_of_jobs() drops it
  for (std::size_t worker = 0; worker < workers_.size(); ++worker) {
    const Worker& w = workers_[worker];
    const bool holds = std::ranges::any_of(w.leases, [&](const Chunk& chunk) { return chunk.tasks.job == id; });
    if (holds && !w.here) cancelled_on_.push_back(static_cast<int>(worker));
  }
}

bool Master::is_finished(JobId id) const {
  const Job& job = jobs_.at(id);
  return job.cancelled ? job.leased == 0 : job.ended && job.finished == job.read;
}

Master::Job* Master::find(JobId id) {
  const auto found = jobs_.find(id);
  return found == jobs_.end() || found->second.cancelled ? nullptr : &found->second;
}

unsigned Master::attempts(JobId id, std::uint64_t task) const {
  const Job& job = jobs_.at(id);
  const auto found = job.trouble.find(task);
  return 1 + (found == job.trouble.end() ? 0 : found->second.failures + found->second.crashes);
}

// ---- events ----

/// Of these, as many as the worker's front lease has; how many that were.
std::uint64_t Master::take_off(Worker& w, const Tasks& tasks) {
  if (w.leases.empty() || w.leases.front().tasks.job != tasks.job || w.leases.front().tasks.first != tasks.first) {
    throw std::logic_error("a worker reported tasks " + std::to_string(tasks.first) + " to " +
                           std::to_string(tasks.end()) + " of job " + std::to_string(tasks.job) +
                           ", which it did not hold next");
  }
  Chunk& lease = w.leases.front();
  const std::uint64_t count = std::min(tasks.count, lease.tasks.count);
  lease.tasks.first += count;
  lease.tasks.count -= count;
  lease.sequence += count;
  w.tasks -= count;
  if (lease.tasks.count == 0) {
    w.leases.pop_front();
    w.careful = false;
  }
  return count;
}

bool Master::done(int worker, const Tasks& tasks, std::chrono::nanoseconds time) {
  Worker& w = at(worker);
  if (!w.live) return false;
  const std::size_t leases = w.leases.size();
  Job& job = jobs_.at(tasks.job);
  // A report may be of several leases: a worker adds up what it did one after the other.
  for (Tasks left = tasks; left.count > 0;) {
    const std::uint64_t count = take_off(w, left);
    if (count == 1) job.trouble.erase(left.first);  // one that had trouble is a lease of its own
    left.first += count;
    left.count -= count;
  }
  job.leased -= tasks.count;
  job.finished += tasks.count;
  job.estimate->tasks = job.estimate->tasks * estimate_memory + static_cast<double>(tasks.count);
  job.estimate->ns = job.estimate->ns * estimate_memory + static_cast<double>(std::max<std::int64_t>(1, time.count()));
  if (w.leases.size() != leases) settle(worker);
  return true;
}

Master::Verdict Master::failed(int worker, JobId id, std::uint64_t task) {
  Worker& w = at(worker);
  if (!w.live) return Verdict::ignored;
  const bool careful = w.careful;
  (void)take_off(w, {id, task, 1});
  settle(worker);
  Job& job = jobs_.at(id);
  --job.leased;
  Trouble& trouble = job.trouble[task];
  ++trouble.failures;
  if (job.cancelled || trouble.failures > job.options.retries) {
    ++job.finished;
    job.trouble.erase(task);
    return job.cancelled ? Verdict::ignored : Verdict::final;
  }
  trouble.tried.push_back(worker);
  if (careful) {
    suspects_.push_back({{id, task, 1}, w.crashes});
  } else {
    retries_.push_back({id, task});
  }
  return Verdict::retry;
}

void Master::give_back(const Tasks& tasks) {
  Job& job = jobs_.at(tasks.job);
  if (job.cancelled) return;
  if (tasks.count == 1 && job.trouble.contains(tasks.first)) {
    retries_.push_front({tasks.job, tasks.first});
    return;
  }
  job.returned.push_front(tasks);
  make_ready(tasks.job, job);
}

bool Master::taken_back(int worker, std::uint64_t from) {
  Worker& w = at(worker);
  if (!w.live || !w.taking_back) return false;
  w.taking_back = false;
  w.may_take_back = false;
  while (!w.leases.empty() && w.leases.back().sequence + w.leases.back().tasks.count > from) {
    Chunk& lease = w.leases.back();
    const std::uint64_t kept = from > lease.sequence ? from - lease.sequence : 0;
    const Tasks back{lease.tasks.job, lease.tasks.first + kept, lease.tasks.count - kept};
    w.tasks -= back.count;
    jobs_.at(back.job).leased -= back.count;
    if (lease.careful) {
      suspects_.push_back({back, w.crashes});
    } else {
      give_back(back);
    }
    lease.tasks.count = kept;
    if (kept == 0) w.leases.pop_back();
  }
  if (w.leases.empty()) w.careful = false;
  settle(worker);
  return true;
}

bool Master::lost(int worker) {
  Worker& w = at(worker);
  if (!w.live) return false;
  w.live = false;
  if (!w.here) --live_;
  settle(worker);
  // Which one it died over is known only where it held no other: the last result may have been lost with it.
  const bool alone = w.tasks == 1;
  for (const Chunk& lease : w.leases) {
    Job& job = jobs_.at(lease.tasks.job);
    job.leased -= lease.tasks.count;
    if (job.cancelled) continue;
    const unsigned crashes = (lease.careful ? w.crashes : 0) + 1;
    if (!alone) {
      suspects_.push_back({lease.tasks, crashes});
      continue;
    }
    Trouble& trouble = job.trouble[lease.tasks.first];
    trouble.crashes = crashes;
    if (crashes < job.options.crash_limit) {
      suspects_.push_back({lease.tasks, crashes});
    } else {
      given_up_.push_back({lease.tasks.job, lease.tasks.first, worker, crashes, trouble.failures + crashes});
      job.trouble.erase(lease.tasks.first);
    }
  }
  w.leases.clear();
  w.tasks = 0;
  return true;
}

// ---- decisions ----

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

Give Master::give(int worker, Job& job, const Tasks& tasks, bool careful) {
  Worker& w = at(worker);
  const Chunk chunk{tasks, w.sent, careful};
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
  if (!suspects_.empty()) {
    if (auto action = next_suspect()) return action;
    // While one waits for a worker without leases, nobody gets more: else none would ever be without.
    if (!suspects_.empty()) return next_take_back(false);
  }
  if (!retries_.empty()) {
    if (auto action = next_retry(false)) return action;
  }
  if (auto action = next_of_jobs(false)) return action;
  return next_take_back(loads_first_[0] != none);
}

std::optional<Action> Master::next_here() {
  if (!has_here_ || !at(here_worker).leases.empty()) return std::nullopt;
  if (auto action = next_retry(true)) return action;
  if (auto action = next_of_jobs(true)) return action;
  return next_take_back(true);
}

std::optional<Action> Master::next_suspect() {
  while (!suspects_.empty() && find(suspects_.front().tasks.job) == nullptr) suspects_.pop_front();
  if (suspects_.empty()) return std::nullopt;
  // Not on the master: the run would go with it.
  const bool nobody = live_ == 0 && has_here_;
  int worker = loads_first_[0];
  if (worker == none && !nobody) return std::nullopt;
  Suspects& front = suspects_.front();
  const Tasks tasks{front.tasks.job, front.tasks.first, 1};
  const unsigned crashes = front.crashes;
  ++front.tasks.first;
  if (--front.tasks.count == 0) suspects_.pop_front();
  Job& job = jobs_.at(tasks.job);
  const auto found = job.trouble.find(tasks.first);
  if (nobody) {
    ++job.finished;
    unsigned failures = 0;
    if (found != job.trouble.end()) {
      failures = found->second.failures;
      job.trouble.erase(found);
    }
    return GiveUp{tasks.job, tasks.first, none, crashes, failures + crashes};
  }
  if (found != job.trouble.end()) {
    const std::vector<int>& tried = found->second.tried;
    while (worker != none && std::ranges::find(tried, worker) != tried.end()) worker = at(worker).after;
    if (worker == none) worker = loads_first_[0];
  }
  at(worker).crashes = crashes;
  return give(worker, job, tasks, true);
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
      return give(chosen, job, tasks, false);
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
    const std::uint64_t most = !here || job.chunks ? UINT64_MAX
                               : task_ns == 0      ? 1
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
    return give(worker, job, tasks, false);
  }
  return std::nullopt;
}

std::optional<Action> Master::next_take_back(bool someone_is_idle) {
  const auto ask = [&](int worker) {
    Worker& w = at(worker);
    w.taking_back = true;
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
