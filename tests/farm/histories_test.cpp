// One farm::Master and its workers through random histories of delays, deaths and failures, against a model that knows
// the truth. A history is a function of its seed: ECHELON_HISTORY_SEED=N replays one and prints it,
// ECHELON_HISTORIES=N sets how many there are.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/farm/delivery.hpp>
#include <echelon/farm/master.hpp>
#include <echelon/farm/worker.hpp>

namespace echelon::farm {
namespace {

using std::chrono::nanoseconds;

constexpr int here = 0;
constexpr int nobody = -1;
constexpr unsigned patiences = 2;

void require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

/// SplitMix64 (Steele, Lea and Flood 2014): a history of some hundred numbers needs no larger state.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_{seed} {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t n) { return next() % n; }
  std::uint64_t from_to(std::uint64_t least, std::uint64_t most) { return least + below(most - least + 1); }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

// ---- the truth ----

struct Task {
  bool kills = false;       // each worker that begins it, or the process of its own
  bool quits = false;       // in a process of its own: without a result, and without being killed
  bool undecided = false;   // has done so
  unsigned fails = 0;       // so often, before it has a result
  bool finished = false;    // has a result, a final error, or was given up
  int holder = nobody;      // to whom the master leased it
  int running_on = nobody;  // begun there, and nothing heard of its end
  unsigned begun = 0;       // by workers that were not declared lost
  unsigned failures = 0;
  unsigned losses = 0;       // workers lost while they held it
  unsigned innocent = 0;     // of these: those that another task killed
  int lost_last = nobody;    // the last one that died over it, or whose process did
  int lost_worker = nobody;  // the last one that died over it
  bool alone = false;        // the last one lost held nothing else
  bool last_innocent = false;
  unsigned tried = 0;  // bits of workers that it failed on
};

struct TaskName {
  JobId job;
  std::uint64_t task;
  friend bool operator==(const TaskName&, const TaskName&) = default;
};

struct Job {
  JobId id = 0;
  JobOptions options;
  Order order = Order::of_input;
  std::vector<Task> tasks;
  bool careless = false;  // its source may be held at any time
  std::uint64_t bytes = 0;
  std::uint64_t task_ns = 1;
  Delivery<std::uint64_t> delivery{Order::of_input};
  std::vector<bool> delivered;
  std::uint64_t read = 0;
  std::uint64_t given = 0;
  std::uint64_t consumed = 0;
  std::uint64_t finished = 0;
  std::uint64_t held_by_workers = 0;
  bool ended = false;
  bool held = false;
  bool cancelled = false;
  bool closed = false;
  unsigned patience = 0;

  [[nodiscard]] std::uint64_t window() const { return std::max<std::uint64_t>(1, options.window); }
  [[nodiscard]] bool is_finished() const { return cancelled ? held_by_workers == 0 : ended && finished == read; }
};

struct Report {
  enum class How { did, failed, crashed, undecided };
  Tasks tasks;
  nanoseconds time{0};
  How how = How::did;
};

/// What can happen to a worker next.
enum class Event { chunk_arrives, works, ask_arrives, report_arrives, answer_arrives, loss_is_noticed };
constexpr std::size_t event_kinds = 6;

struct Peer {
  Worker worker;
  bool isolates = false;  // can run a task in a process of its own
  bool alive = true;      // the process
  bool declared = false;  // lost, to the master
  bool idle = true;
  std::deque<Chunk> chunks;  // under way
  std::deque<Report> reports;
  std::deque<std::uint64_t> asks;
  std::deque<std::uint64_t> answers;
  std::vector<Report> unsent;
  std::optional<Chunk> run;
  std::uint64_t ran = 0;
  nanoseconds run_time{0};
  std::vector<TaskName> sent;  // by sequence
  std::uint64_t begun_to = 0;  // sequences
  std::uint64_t taken_to = 0;
  std::uint64_t held = 0;
  bool holds_suspect = false;
  bool asked = false;
  std::optional<TaskName> killer;
  std::array<unsigned, event_kinds> patience{};
};

class History {
 public:
  History(std::uint64_t seed, bool tells) : random_{seed}, tells_{tells} {}

  void run() {
    begin();
    while (step()) {
      // An attempt is a chunk, a run, a report and a result taken at most, and the end of one causes at most one taking
      // back: about four were the most in a million histories.
      require(++steps_ <= step_limit(), "the history does not end");
    }
    check_end();
  }

  [[nodiscard]] std::uint64_t steps() const { return steps_; }
  [[nodiscard]] std::uint64_t step_limit() const { return 50 + 10 * attempt_limit_; }

 private:
  template <typename... Args>
  void tell(const Args&... args) {
    if (!tells_) return;
    (std::cout << ... << args) << '\n';
  }

  // ---- what there is ----

  void begin() {
    has_here_ = random_.one_in(3);
    const auto workers = static_cast<int>(has_here_ ? random_.below(5) : random_.from_to(1, 8));
    std::vector<int> ranks;
    for (int rank = 1; rank <= workers; ++rank) ranks.push_back(rank);
    for (int rank = 0; rank <= workers; ++rank) {
      Peer& peer = peers_.emplace_back();
      if (random_.one_in(2)) continue;
      for (unsigned& patience : peer.patience) patience = random_.one_in(3) ? 1 : 0;
    }
    for (Peer& peer : peers_) peer.isolates = random_.one_in(2);
    peers_[here].alive = has_here_;
    peers_[here].declared = !has_here_;
    master_.emplace(ranks, has_here_);
    if (peers_[here].isolates) master_->isolate_here(false);
    tell(workers, " workers", has_here_ ? " and here" : "");

    jobs_to_come_ = random_.from_to(1, 3);
    failing_ = random_.one_in(2) ? random_.from_to(2, 20) : 0;
    killing_ = random_.one_in(3) ? random_.from_to(5, 60) : 0;
    deaths_to_come_ = random_.one_in(2) ? random_.below(4) : 0;
    cancels_to_come_ = random_.one_in(6) ? 1 : 0;
    here_hurries_ = random_.one_in(2);
    open();
  }

  void open() {
    --jobs_to_come_;
    Job& job = jobs_.emplace_back();
    std::uint64_t count = random_.below(40);
    if (random_.one_in(6)) count = random_.below(3);
    if (random_.one_in(24)) count = random_.below(300);
    job.tasks.resize(count);
    const bool quitting = random_.one_in(4);
    for (Task& task : job.tasks) {
      if (failing_ > 0 && random_.one_in(failing_)) task.fails = static_cast<unsigned>(random_.from_to(1, 4));
      if (killing_ > 0 && random_.one_in(killing_)) task.kills = true;
      if (quitting && (task.kills || random_.one_in(4))) task.quits = true;
    }
    JobOptions& options = job.options;
    options.retries = static_cast<unsigned>(random_.below(4));
    options.crash_limit = static_cast<unsigned>(random_.from_to(1, 3));
    options.kind = random_.below(2);
    options.isolated = random_.one_in(12);
    if (random_.one_in(2)) options.window = random_.from_to(0, 20);
    if (random_.one_in(2)) options.prefetch = random_.one_in(8) ? 100 : random_.below(4);
    if (random_.one_in(2)) options.chunk = random_.from_to(1, 6);
    const bool sized = random_.one_in(2);
    if (sized) options.tasks = count;
    if (sized && random_.one_in(2)) {
      const auto schedules = schedule::all_schedules();
      options.schedule = schedules[random_.below(schedules.size())];
    }
    job.order = random_.one_in(2) ? Order::of_input : Order::as_they_come;
    job.delivery = Delivery<std::uint64_t>{job.order};
    job.delivered.resize(count);
    job.careless = random_.one_in(4);
    job.bytes = random_.one_in(3) ? std::uint64_t{1} << random_.below(22) : 0;
    job.task_ns = std::uint64_t{1} << random_.below(24);
    job.patience = random_.one_in(3) ? 1 : 0;
    // At most `retries` attempts fail without an end, and at most max(crash_limit, 2) workers or processes die over a
    // task: the first in company, where its guilt is not sure, each later one over it alone. One may end undecided.
    attempt_limit_ += count * attempts_most(options) + 1;
    action_limit_ += 3 * count + 4;
    job.id = master_->open(options);
    tell("open job ", job.id, ": ", count, " tasks");
    if (sized && random_.one_in(2)) {
      job.read = count;
      job.ended = true;
      master_->read(job.id, count, true, count * job.bytes);
    }
  }

  static std::uint64_t attempts_most(const JobOptions& options) {
    return options.retries + std::max(options.crash_limit, 2U) + 1;
  }

  Job& job(JobId id) {
    const auto found = std::ranges::find(jobs_, id, &Job::id);
    require(found != jobs_.end(), "a job that does not exist");
    return *found;
  }
  Peer& peer(int worker) { return peers_.at(static_cast<std::size_t>(worker)); }

  // ---- what happens ----

  /// One event; false where there is none any more.
  bool step() {
    if (random_.one_in(16)) something_rare();
    for (unsigned patience = 0; patience < patiences; ++patience) {
      if (one_event(patience)) {
        if (!random_.one_in(4)) decide();
        if (has_here_ && here_hurries_ && random_.one_in(4)) works_here();
        return true;
      }
      // The impatient things are over: the master has time, before those that take theirs go on.
      if (decide() > 0) return true;
      if (works_here()) return true;
    }
    if (jobs_to_come_ == 0) return false;
    open();
    return true;
  }

  bool one_event(unsigned patience) {
    struct Choice {
      Peer* peer;
      Job* job;
      int worker;
      Event event;
    };
    std::array<Choice, 64> choices;  // NOLINT: filled as far as it is used
    std::size_t count = 0;
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      Peer& one = peers_[i];
      const auto offer = [&](Event event, bool possible) {
        if (!possible || one.patience[static_cast<std::size_t>(event)] != patience) return;
        choices[count++] = {&one, nullptr, static_cast<int>(i), event};
      };
      if (i == here) continue;
      offer(Event::chunk_arrives, one.alive && !one.chunks.empty());
      offer(Event::works, one.alive && !one.idle);
      offer(Event::ask_arrives, one.alive && !one.asks.empty());
      offer(Event::report_arrives, !one.reports.empty());
      offer(Event::answer_arrives, !one.answers.empty());
      offer(Event::loss_is_noticed, !one.alive && !one.declared);
    }
    for (Job& one : jobs_) {
      if (one.patience != patience) continue;
      if (one.delivery.has_next() || (one.held && !one.closed)) choices[count++] = {nullptr, &one, 0, Event::works};
    }
    if (count == 0) return false;
    const Choice& chosen = choices[random_.below(count)];
    if (chosen.job != nullptr) {
      consume_or_release(*chosen.job);
      return true;
    }
    Peer& one = *chosen.peer;
    switch (chosen.event) {
      case Event::chunk_arrives:
        one.worker.receive(take(one.chunks));
        one.idle = false;
        break;
      case Event::works: work(chosen.worker, one); break;
      case Event::ask_arrives: answer(chosen.worker, one, take(one.asks)); break;
      case Event::report_arrives: hear(chosen.worker, take(one.reports)); break;
      case Event::answer_arrives: hear_answer(chosen.worker, take(one.answers)); break;
      case Event::loss_is_noticed: declare_lost(chosen.worker); break;
    }
    return true;
  }

  template <typename T>
  static T take(std::deque<T>& queue) {
    T first = std::move(queue.front());
    queue.pop_front();
    return first;
  }

  void something_rare() {
    switch (random_.below(4)) {
      case 0:
        if (jobs_to_come_ > 0) open();
        break;
      case 1:
        if (deaths_to_come_ > 0 && peers_.size() > 1) {
          --deaths_to_come_;
          const auto worker = static_cast<int>(random_.from_to(1, peers_.size() - 1));
          if (!peer(worker).alive || peer(worker).declared) break;
          if (random_.one_in(3)) {
            tell("worker ", worker, " falls silent");
            declare_lost(worker);
          } else {
            die(worker, std::nullopt);
          }
        }
        break;
      case 2: {
        if (cancels_to_come_ == 0) break;
        Job& one = jobs_[random_.below(jobs_.size())];
        if (one.closed) break;
        --cancels_to_come_;
        tell("cancel job ", one.id);
        one.cancelled = true;
        master_->cancel(one.id);
        break;
      }
      default: {
        Job& one = jobs_[random_.below(jobs_.size())];
        if (!one.closed && one.is_finished() && master_->is_finished(one.id)) {
          tell("close job ", one.id);
          one.closed = true;
          master_->close(one.id);
        }
      }
    }
  }

  void consume_or_release(Job& one) {
    if (one.held && !one.closed) {
      one.held = false;
      master_->hold(one.id, false);
      return;
    }
    std::uint64_t taken = 0;
    for (std::uint64_t most = random_.from_to(1, 8); taken < most; ++taken) {
      const std::optional<std::uint64_t> task = one.delivery.take();
      if (!task) break;
      require(*task < one.tasks.size() && !one.delivered[*task], "delivered twice");
      require(one.tasks[*task].finished, "delivered before its end");
      require(one.order == Order::as_they_come || *task == one.consumed + taken, "delivered out of order");
      one.delivered[*task] = true;
    }
    one.consumed += taken;
    if (!one.closed && !one.cancelled) master_->consumed(one.id, taken);
  }

  // ---- a worker ----

  nanoseconds duration(const Job& one) {
    const std::uint64_t skew = random_.one_in(16) ? 1000 : 1;
    return nanoseconds{one.task_ns * skew + random_.below(one.task_ns)};
  }

  void work(int worker, Peer& one) {
    if (!one.run) {
      one.run = one.worker.begin();
      if (!one.run) {
        require(one.worker.must_report(false, nanoseconds{0}), "results wait though there is nothing to do");
        send(one);
        one.idle = true;
        return;
      }
      const Chunk& run = *one.run;
      tell("worker ", worker, " begins ", run.tasks.job, ":", run.tasks.first, "+", run.tasks.count);
      require(run.sequence >= one.begun_to, "begun twice by one worker");
      require(run.sequence >= one.taken_to, "begun though it was taken back");
      one.begun_to = run.sequence + run.tasks.count;
      require(run.tasks.count >= 1 && one.begun_to <= one.sent.size(), "a run of tasks that were not sent");
      for (std::uint64_t i = 0; i < run.tasks.count; ++i) {
        require(one.sent[run.sequence + i] == TaskName{run.tasks.job, run.tasks.first + i},
                "another task than was sent");
      }
      require(!run.careful || run.tasks.count == 1, "a run of several suspects");
      one.ran = 0;
      one.run_time = nanoseconds{0};
    }
    const TaskName name{one.run->tasks.job, one.run->tasks.first + one.ran};
    Job& its = job(name.job);
    Task& task = its.tasks[name.task];
    if (!one.declared) begins(worker, its, task);
    const bool isolated = one.run->isolated && one.isolates;
    if (task.kills && !isolated) {
      die(worker, name);
      return;
    }
    ends(one.unsent, its, name, task, isolated);
    one.run_time += one.unsent.back().time;
    if (++one.ran < one.run->tasks.count) return;
    one.worker.ended(one.ran, one.run_time);
    const bool careful = one.run->careful;
    one.run.reset();
    if (one.worker.must_report(careful, nanoseconds{random_.below(60'000)})) send(one);
  }

  static void begins(int worker, const Job& its, Task& task) {
    require(task.holder == worker, "begun by a worker that does not hold it");
    require(task.running_on == nobody, "begun while it runs elsewhere");
    require(!task.finished, "begun after its end");
    task.running_on = worker;
    ++task.begun;
    require(task.begun <= attempts_most(its.options), "too many attempts");
  }

  /// Adds how it ended to the reports; results of neighbours become one, whatever chunks they came in.
  void ends(std::vector<Report>& reports, const Job& its, const TaskName& name, const Task& task, bool isolated) {
    using How = Report::How;
    const How how = isolated && task.quits       ? How::undecided
                    : isolated && task.kills     ? How::crashed
                    : task.failures < task.fails ? How::failed
                                                 : How::did;
    const nanoseconds time = duration(its);
    if (how == How::did && !reports.empty()) {
      Report& last = reports.back();
      if (last.how == How::did && last.tasks.job == name.job && last.tasks.end() == name.task) {
        ++last.tasks.count;
        last.time += time;
        return;
      }
    }
    reports.push_back({{name.job, name.task, 1}, time, how});
  }

  static void send(Peer& one) {
    one.reports.insert(one.reports.end(), one.unsent.begin(), one.unsent.end());
    one.unsent.clear();
  }

  void answer(int worker, Peer& one, std::uint64_t upto) {
    const std::uint64_t from = one.worker.take_back(upto);
    tell("worker ", worker, " gives back from ", from, " to ", upto);
    require(from <= upto && from == std::max(one.begun_to, std::min(from, one.taken_to)),
            "not exactly what had not begun was given back");
    one.taken_to = upto;
    one.answers.push_back(from);
  }

  void die(int worker, std::optional<TaskName> killer) {
    tell("worker ", worker, " dies", killer ? " of its task" : "");
    Peer& one = peer(worker);
    one.alive = false;
    one.killer = killer;
    one.chunks.clear();
    one.asks.clear();
    one.run.reset();
    if (random_.one_in(2)) one.reports.resize(random_.below(one.reports.size() + 1));
    if (random_.one_in(2)) one.answers.resize(random_.below(one.answers.size() + 1));
  }

  // ---- what the master hears ----

  void hear(int worker, const Report& report) {
    using How = Report::How;
    constexpr std::array words{" did ", " failed ", " crashed over ", " cannot decide "};
    Peer& one = peer(worker);
    const auto& [id, first, count] = report.tasks;
    Job& its = job(id);
    tell("master hears ", worker, words.at(static_cast<std::size_t>(report.how)), id, ":", first, "+", count,
         one.declared ? ", too late" : "");
    if (one.declared) {
      switch (report.how) {
        case How::did: require(!master_->done(worker, report.tasks, report.time), "a lost worker is heard"); break;
        case How::failed:
          require(master_->failed(worker, id, first) == Master::Verdict::ignored, "a lost worker's failure is heard");
          break;
        case How::crashed: require(!master_->crashed(worker, id, first), "a lost worker's crash is heard"); break;
        case How::undecided: require(!master_->undecided(worker, id, first), "a lost worker's doubt is heard"); break;
      }
      return;
    }
    for (std::uint64_t i = first; i < report.tasks.end(); ++i) {
      Task& task = its.tasks[i];
      require(task.holder == worker, "the model: a report of a task that is held elsewhere");
      let_go(its, one, task);
    }
    Task& task = its.tasks[first];
    switch (report.how) {
      case How::did:
        require(master_->done(worker, report.tasks, report.time), "a live worker is not heard");
        if (its.cancelled) return;
        for (std::uint64_t i = first; i < report.tasks.end(); ++i) finish(its, i);
        return;
      case How::failed: hear_failure(worker, its, first); return;
      case How::crashed:
        lose(task, worker, true, false);
        require(master_->crashed(worker, id, first), "a live worker's crash is not heard");
        return;
      case How::undecided:
        require(!task.undecided, "undecided twice");
        task.undecided = true;
        require(master_->undecided(worker, id, first), "a live worker's doubt is not heard");
        return;
    }
  }

  void hear_failure(int worker, Job& its, std::uint64_t number) {
    Task& task = its.tasks[number];
    ++task.failures;
    const unsigned attempts = master_->attempts(its.id, number);
    const unsigned least = task.failures + (task.undecided ? 1 : 0);
    require(attempts >= least && attempts <= least + task.losses, "attempts were counted wrongly");
    const Master::Verdict verdict = master_->failed(worker, its.id, number);
    if (its.cancelled) {
      require(verdict == Master::Verdict::ignored, "a verdict on a task of a cancelled job");
    } else if (task.failures <= its.options.retries) {
      require(verdict == Master::Verdict::retry, "retries are left");
      task.tried |= 1U << worker;
    } else {
      require(verdict == Master::Verdict::final, "no retries are left");
      finish(its, number);
    }
  }

  static void lose(Task& task, int worker, bool alone, bool innocent) {
    ++task.losses;
    task.last_innocent = innocent;
    if (innocent) ++task.innocent;
    task.lost_last = worker;
    task.alone = alone;
  }

  void let_go(Job& its, Peer& one, Task& task) {
    task.holder = nobody;
    task.running_on = nobody;
    --its.held_by_workers;
    --one.held;
    if (one.held == 0) one.holds_suspect = false;
  }

  static void finish(Job& its, std::uint64_t number) {
    Task& task = its.tasks[number];
    require(!task.finished, "a second end of a task");
    task.finished = true;
    ++its.finished;
    its.delivery.put(number, number);
  }

  void hear_answer(int worker, std::uint64_t from) {
    Peer& one = peer(worker);
    tell("master hears ", worker, " give back from ", from);
    if (one.declared) {
      require(!master_->taken_back(worker, from), "a lost worker's answer is heard");
      return;
    }
    one.asked = false;
    for (std::uint64_t i = from; i < one.sent.size(); ++i) {
      Job& its = job(one.sent[i].job);
      let_go(its, one, its.tasks[one.sent[i].task]);
    }
    require(master_->taken_back(worker, from), "an answer is not heard");
    if (random_.one_in(4)) require(!master_->taken_back(worker, from), "an answer is heard twice");
  }

  void declare_lost(int worker) {
    Peer& one = peer(worker);
    tell("master hears the loss of ", worker);
    const bool alone = one.held == 1;
    for (Job& its : jobs_) {
      for (std::uint64_t i = 0; i < its.tasks.size(); ++i) {
        Task& task = its.tasks[i];
        if (task.holder != worker) continue;
        task.lost_worker = worker;
        lose(task, worker, alone, one.killer && !(*one.killer == TaskName{its.id, i}));
        let_go(its, one, task);
      }
    }
    one.declared = true;
    require(master_->lost(worker), "a loss is not heard");
    if (random_.one_in(4)) require(!master_->lost(worker), "a loss is heard twice");
    if (master_->live_workers() == 0 && !has_here_ && peers_[here].isolates) take_over();
  }

  /// The master's rank runs all that is left, each task in a process of its own.
  void take_over() {
    tell("the master takes over");
    has_here_ = takes_over_ = true;
    peers_[here].alive = true;
    peers_[here].declared = false;
    master_->isolate_here(true);
    master_->set_here(true);
  }

  // ---- what the master decides ----

  std::uint64_t decide() {
    std::uint64_t actions = 0;
    while (const std::optional<Action> action = master_->next()) {
      require(++actions <= action_limit_ + peers_.size(), "the master does not stop deciding");
      std::visit([&](const auto& what) { follow(what); }, *action);
    }
    for (const Job& one : jobs_) {
      if (one.closed) continue;
      require(master_->is_finished(one.id) == one.is_finished(), "finished too early or too late");
    }
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      if (!peers_[i].declared)
        require(master_->leased(static_cast<int>(i)) == peers_[i].held, "leases are not counted");
    }
    return actions;
  }

  bool works_here() {
    if (!has_here_) return false;
    const std::optional<Action> action = master_->next_here();
    if (!action) return false;
    std::visit([&](const auto& what) { follow(what); }, *action);
    const Give* give = std::get_if<Give>(&*action);
    if (give == nullptr) return true;
    require(give->worker == here, "next_here() gives to another worker");
    Peer& one = peer(here);
    one.chunks.clear();
    const Tasks& tasks = give->chunk.tasks;
    std::vector<Report> reports;
    for (std::uint64_t i = tasks.first; i < tasks.end(); ++i) {
      Job& its = job(tasks.job);
      Task& task = its.tasks[i];
      const bool isolated = give->chunk.isolated && one.isolates;
      require(isolated || (!takes_over_ && task.losses == 0), "a suspect runs on the master itself");
      begins(here, its, task);
      ends(reports, its, {tasks.job, i}, task, isolated);
    }
    for (const Report& report : reports) hear(here, report);
    return true;
  }

  void follow(const Read& read) {
    Job& its = job(read.job);
    require(!its.closed && !its.cancelled && !its.ended && !its.held, "there is nothing to be read");
    require(read.count > 0, "nothing is to be read");
    require(its.read + read.count - its.consumed <= its.window(), "more is to be read than the window has room for");
    if (its.careless && random_.one_in(3)) {
      tell("hold job ", its.id);
      its.held = true;
      master_->hold(its.id, true);
      return;
    }
    const std::uint64_t left = its.tasks.size() - its.read;
    std::uint64_t count = std::min(read.count, left);
    if (count > 1 && random_.one_in(4)) count = random_.from_to(1, count);
    its.ended = count == 0 || (count == left && random_.one_in(2));
    its.read += count;
    tell("read ", count, " of ", read.count, " of job ", its.id, its.ended ? ", the last" : "");
    master_->read(its.id, count, its.ended, count * its.bytes);
  }

  void follow(const Give& give) {
    const Tasks& tasks = give.chunk.tasks;
    tell("give ", give.worker, " ", tasks.job, ":", tasks.first, "+", tasks.count,
         give.chunk.careful ? " carefully" : "", " as ", give.chunk.sequence);
    Job& its = job(tasks.job);
    Peer& one = peer(give.worker);
    require(!its.closed && !its.cancelled, "a task of a cancelled job is given");
    require(!one.declared, "a task is given to a lost worker");
    require(!one.asked, "a task is given to a worker that is to give back");
    require(!one.holds_suspect, "a suspect gets company");
    if (give.chunk.careful) must_be_last(give);
    require(!give.chunk.careful || one.held == 0, "a suspect is put into company");
    require(give.chunk.sequence == one.sent.size(), "the sequence has a gap");
    require(tasks.count >= 1 && tasks.end() <= its.read, "tasks are given that were not read");
    require(!its.options.chunk || its.options.schedule || tasks.count <= *its.options.chunk, "the chunk is too large");
    for (std::uint64_t i = tasks.first; i < tasks.end(); ++i) {
      Task& task = its.tasks[i];
      require(!task.finished, "a finished task is given again");
      require(task.holder == nobody, "a task is given that is held");
      require(is_suspect(task) == give.chunk.careful && (!give.chunk.careful || tasks.count == 1),
              "a suspect is not given alone");
      require(give.chunk.isolated == (give.chunk.careful ? !task.undecided : its.options.isolated || takes_over(one)),
              "in a process of its own, or not");
      if (task.tried != 0 && !is_suspect(task)) must_be_untried(give.worker, task);
      task.holder = give.worker;
      one.sent.push_back({tasks.job, i});
    }
    one.held += tasks.count;
    one.holds_suspect = give.chunk.careful;
    its.held_by_workers += tasks.count;
    require(tasks.first <= its.given, "a task is left out");
    its.given = std::max(its.given, tasks.end());
    require(its.given - its.consumed <= its.window(), "the window is exceeded");
    one.chunks.push_back(give.chunk);
  }

  static bool is_suspect(const Task& task) { return task.losses > 0 || task.undecided; }
  bool takes_over(const Peer& one) const { return takes_over_ && &one == &peers_[here]; }

  /// Nothing but suspects could be given to the worker, least of all to the last one.
  void must_be_last(const Give& give) {
    require(give.worker != here || master_->live_workers() == 0, "the master's rank takes a suspect from a worker");
    const bool undecided = job(give.chunk.tasks.job).tasks[give.chunk.tasks.first].undecided;
    for (const Peer& one : peers_)
      require(!one.asked || one.declared, "what comes back could be done before a suspect");
    for (const Job& one : jobs_) {
      if (one.closed || one.cancelled) continue;
      for (std::uint64_t i = 0; i < one.given; ++i) {
        const Task& task = one.tasks[i];
        if (task.finished || task.holder != nobody) continue;
        // A retry may wait for a worker that has not tried it.
        const bool waits = !is_suspect(task) && task.failures > 0 && (has_here_ || master_->live_workers() > 1);
        require(is_suspect(task) || waits, "a suspect comes before what was given back");
        require(!undecided || task.undecided || waits, "an undecided suspect is not the last");
      }
      const bool has_room = one.options.window == UINT64_MAX || one.given == one.consumed;
      require(one.given == one.read || !has_room, "a suspect comes before the others");
      require(one.ended || one.held || !has_room, "a suspect comes before the rest of the input");
    }
  }

  void must_be_untried(int worker, Task& task) {
    unsigned live = 0;
    for (std::size_t i = 0; i < peers_.size(); ++i) live |= peers_[i].declared ? 0U : 1U << i;
    if ((live & ~task.tried) == 0) task.tried = 0;
    require((task.tried & 1U << worker) == 0, "a retry goes to the same worker though another has not tried");
  }

  void follow(const TakeBack& what) {
    tell("take back from ", what.worker, " below ", what.upto);
    Peer& one = peer(what.worker);
    require(!one.declared && what.worker != here, "asked a worker that cannot answer");
    require(!one.asked && what.upto == one.sent.size(), "asked twice, or for what was not sent");
    one.asked = true;
    one.asks.push_back(what.upto);
  }

  void follow(const GiveUp& what) {
    tell("give up ", what.job, ":", what.task, " after ", what.crashes, " crashes");
    Job& its = job(what.job);
    require(!its.closed && !its.cancelled, "a task of a cancelled job is given up");
    Task& task = its.tasks[what.task];
    require(task.holder == nobody, "a task is given up that is held");
    require(what.crashes == task.losses, "crashes were counted wrongly");
    require(what.lost == task.lost_worker, "another worker than the last that died over it");
    require(what.attempts == task.failures + what.crashes + (task.undecided ? 1 : 0), "attempts were counted wrongly");
    if (what.worker == nobody) {
      // A suspect, and only the master's own rank is left, which runs it in no process of its own.
      require(has_here_ && master_->live_workers() == 0 && is_suspect(task), "given up though workers are left");
      require(task.undecided || !peers_[here].isolates, "given up though it could run in a process of its own");
    } else {
      require(what.worker == task.lost_last, "another worker than the last is named");
      require(task.losses >= its.options.crash_limit, "given up before the limit");
      // No task is given up for another's deeds: the last worker died with nothing else in its hands. That can be an
      // accident, but not another task; and no more than one of all losses can be another task's doing.
      require(task.alone && !task.last_innocent && task.innocent <= 1, "an innocent task is given up");
    }
    finish(its, what.task);
  }

  // ---- the end ----

  void check_end() {
    bool someone = has_here_;
    int live = 0;
    for (std::size_t i = 1; i < peers_.size(); ++i) live += peers_[i].declared ? 0 : 1;
    someone = someone || live > 0;
    require(master_->live_workers() == live, "live workers are not counted");
    for (Job& one : jobs_) {
      if (one.cancelled) continue;
      require(one.is_finished() || !someone, "a job does not end");
      if (!one.is_finished()) continue;
      require(one.read == one.tasks.size(), "the model: not all was read");
      require(one.consumed == one.read && std::ranges::count(one.delivered, true) == std::ssize(one.delivered),
              "not all was delivered");
    }
  }

  Random random_;
  bool tells_;
  std::optional<Master> master_;
  std::deque<Peer> peers_;  // by rank
  std::deque<Job> jobs_;
  bool has_here_ = false;
  bool here_hurries_ = false;
  bool takes_over_ = false;
  std::uint64_t jobs_to_come_ = 0;
  std::uint64_t failing_ = 0;
  std::uint64_t killing_ = 0;
  std::uint64_t deaths_to_come_ = 0;
  std::uint64_t cancels_to_come_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t attempt_limit_ = 0;
  std::uint64_t action_limit_ = 0;
};

std::optional<std::uint64_t> number_from_environment(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

#ifdef __SANITIZE_ADDRESS__
constexpr std::uint64_t default_histories = 10'000;
#elif defined(NDEBUG)
constexpr std::uint64_t default_histories = 100'000;
#else
constexpr std::uint64_t default_histories = 20'000;
#endif

TEST(histories, end_with_one_result_for_each_task_whatever_happens) {
  const std::optional<std::uint64_t> seed = number_from_environment("ECHELON_HISTORY_SEED");
  const std::uint64_t first = seed.value_or(1);
  const std::uint64_t count = number_from_environment("ECHELON_HISTORIES").value_or(seed ? 1 : default_histories);
  for (std::uint64_t i = 0; i < count; ++i) {
    History history{first + i, count == 1};
    try {
      history.run();
    } catch (const std::exception& violation) {
      FAIL() << "history " << first + i << ", step " << history.steps() << ": " << violation.what()
             << "\nReplay it: ECHELON_HISTORY_SEED=" << first + i;
    }
  }
}

}  // namespace
}  // namespace echelon::farm
