#include <algorithm>
#include <stdexcept>
#include <string>

#include <echelon/farm/master.hpp>

namespace echelon::farm {
namespace {

constexpr double estimate_memory = 0.9;

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

void Master::isolate_here(bool everything) {
  here_isolates_ = true;
  here_isolates_all_ = everything;
}

std::vector<JobId> Master::jobs_on(int worker) const {
  std::vector<JobId> jobs;
  for (const Chunk& lease : workers_[static_cast<std::size_t>(worker)].leases) {
    if (jobs.empty() || jobs.back() != lease.tasks.job) jobs.push_back(lease.tasks.job);
  }
  std::ranges::sort(jobs);
  jobs.erase(std::unique(jobs.begin(), jobs.end()), jobs.end());
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
  return 1 + (found == job.trouble.end() ? 0 : found->second.attempts());
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
    w.careful.reset();
  }
  return count;
}

/// What it was suspected of.
std::optional<Master::Suspicion> Master::take_off_one(int worker, Job& job, const Tasks& task) {
  Worker& w = at(worker);
  const std::optional<Suspicion> careful = w.careful;
  (void)take_off(w, task);
  settle(worker);
  --job.leased;
  return careful;
}

void Master::suspect(const Tasks& tasks, Suspicion how) {
  const auto runs_before = [](const Suspicion& a, const Suspicion& b) {
    return std::pair{a.undecided, a.crashes} < std::pair{b.undecided, b.crashes};
  };
  const auto place = std::ranges::upper_bound(suspects_, how, runs_before, &Suspects::how);
  suspects_.insert(place, {tasks, how});
}

/// Of a task whose worker, or whose process, held nothing else.
void Master::count_crash(int worker, Job& job, const Tasks& task, Suspicion before) {
  Trouble& trouble = job.trouble[task.first];
  trouble.crashes = ++before.crashes;
  if (before.crashes < job.options.crash_limit) {
    suspect(task, before);
    return;
  }
  given_up_.push_back({task.job, task.first, worker, before.crashes, trouble.attempts(), before.lost});
  job.trouble.erase(task.first);
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
  if (!at(worker).live) return Verdict::ignored;
  Job& job = jobs_.at(id);
  const auto careful = take_off_one(worker, job, {id, task, 1});
  Trouble& trouble = job.trouble[task];
  ++trouble.failures;
  if (job.cancelled || trouble.failures > job.options.retries) {
    ++job.finished;
    job.trouble.erase(task);
    return job.cancelled ? Verdict::ignored : Verdict::final;
  }
  trouble.tried.push_back(worker);
  if (careful) {
    suspect({id, task, 1}, *careful);
  } else {
    retries_.push_back({id, task});
  }
  return Verdict::retry;
}

bool Master::crashed(int worker, JobId id, std::uint64_t task) {
  if (!at(worker).live) return false;
  Job& job = jobs_.at(id);
  const auto careful = take_off_one(worker, job, {id, task, 1});
  if (!job.cancelled) count_crash(worker, job, {id, task, 1}, careful.value_or(Suspicion{}));
  return true;
}

bool Master::undecided(int worker, JobId id, std::uint64_t task) {
  if (!at(worker).live) return false;
  Job& job = jobs_.at(id);
  const auto careful = take_off_one(worker, job, {id, task, 1});
  if (job.cancelled) return true;
  ++job.trouble[task].undecided;
  Suspicion how = careful.value_or(Suspicion{});
  how.undecided = true;
  suspect({id, task, 1}, how);
  return true;
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
  --asked_;
  w.may_take_back = false;
  while (!w.leases.empty() && w.leases.back().sequence + w.leases.back().tasks.count > from) {
    Chunk& lease = w.leases.back();
    const std::uint64_t kept = from > lease.sequence ? from - lease.sequence : 0;
    const Tasks back{lease.tasks.job, lease.tasks.first + kept, lease.tasks.count - kept};
    w.tasks -= back.count;
    jobs_.at(back.job).leased -= back.count;
    if (w.careful) {
      suspect(back, *w.careful);
    } else {
      give_back(back);
    }
    lease.tasks.count = kept;
    if (kept == 0) w.leases.pop_back();
  }
  if (w.leases.empty()) w.careful.reset();
  settle(worker);
  return true;
}

bool Master::lost(int worker) {
  Worker& w = at(worker);
  if (!w.live) return false;
  w.live = false;
  if (!w.here) --live_;
  if (w.taking_back) --asked_;
  settle(worker);
  // Which one it died over is known only where it held no other: the last result may have been lost with it.
  const bool alone = w.tasks == 1;
  for (const Chunk& lease : w.leases) {
    Job& job = jobs_.at(lease.tasks.job);
    job.leased -= lease.tasks.count;
    if (job.cancelled) continue;
    Suspicion before = w.careful.value_or(Suspicion{});
    before.lost = worker;
    if (alone) {
      count_crash(worker, job, lease.tasks, before);
    } else {
      ++before.crashes;
      suspect(lease.tasks, before);
    }
  }
  w.leases.clear();
  w.tasks = 0;
  return true;
}

}  // namespace echelon::farm
