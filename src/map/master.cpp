#include "master.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>

#include <echelon/base/error.hpp>
#include <echelon/base/time.hpp>
#include <echelon/comm/backoff.hpp>
#include <echelon/comm/nodes.hpp>

namespace echelon::map {
namespace {

using namespace std::chrono_literals;
using measure::Phase;

constexpr int most_messages_a_look = 64;
/// Of tasks that are given out or done and not delivered: what bounds the memory of their outputs.
constexpr std::uint64_t tasks_in_flight = 1024;
constexpr std::uint64_t tasks_in_flight_a_worker = 16;
/// Commands that wait on a worker, so that it need not wait for the master: as many as take this long.
constexpr std::chrono::milliseconds ahead{10};
/// Pieces of an output that are asked for at a time.
constexpr std::uint64_t pieces_ahead = 4;
/// Workers that were told to leave, or to end their commands, are waited for so long.
constexpr std::chrono::seconds leave_limit{10};
/// A limit that follows the median is told again when it has changed by more.
constexpr double limit_tolerance = 0.02;
constexpr std::chrono::milliseconds look_at_time_every{100};

std::vector<int> workers_of(int ranks) {
  std::vector<int> workers;
  if (ranks == 1) workers.push_back(0);
  for (int rank = 1; rank < ranks; ++rank) workers.push_back(rank);
  return workers;
}

}  // namespace

Master::Master(const comm::Session& session, measure::Account& account, const Options& options, Work& work,
               command::Helper& helper, std::vector<std::string> environment, const Surroundings& surroundings)
    : session_{session},
      account_{account},
      options_{options},
      surroundings_{surroundings},
      link_{session, {}},
      farm_{workers_of(session.size()), false},
      work_{work},
      inputs_{work.inputs},
      deliveries_{work.deliveries} {
  if (session.size() == 1) {
    here_ = std::make_unique<Worker>(helper, session, std::move(environment), account,
                                     [this](comm::Packer& message) { take(0, comm::Unpacker{message.view()}); });
  }
  account_.clock.enter(Phase::wait);
}

void Master::start_job() {
  farm::JobOptions job;
  job.chunk = 1;
  job.ahead = ahead;
  job.window = std::max(tasks_in_flight, tasks_in_flight_a_worker * static_cast<std::uint64_t>(session_.size()));
  job.retries = options_.attempts - 1;
  // Where it matters what has started, to give out is to start.
  if (options_.delay.count() > 0 || options_.halt.when != farm::Halt::When::never) job.prefetch = 0;
  job_ = farm_.open(job);
  if (options_.timeout_s) {
    limit_s_ = options_.timeout_s;
    comm::Packer message;
    message.put(ToWorker::limit);
    message.put(*limit_s_);
    send_to_all(message);
  }
}

void Master::run() {
  start_job();
  std::optional<Clock::time_point> nobody_ends_since;
  for (comm::Backoff backoff{true}; !farm_.is_finished(job_) || !arrived_.empty();) {
    const bool any = look();
    if (surroundings_.progress) {
      const Counts& counts = deliveries_.counts();
      surroundings_.progress({.ended = counts.succeeded + counts.failed,
                              .failed = counts.failed,
                              .total = input_ended_ ? std::optional{listed_} : inputs_.count(),
                              .ended_now = counts.ended_now()});
    }
    if (any) {
      backoff = comm::Backoff{true};
      continue;
    }
    if (farm_.live_workers() == 0) break;
    if (stopping_ == Stopping::at_once) {
      if (!nobody_ends_since) nobody_ends_since = Clock::now();
      if (Clock::now() - *nobody_ends_since > leave_limit) break;
    }
    backoff.pause();
  }
  const bool complete = input_ended_ && tasks_.empty() && !input_error_;
  if (complete) stopped_.clear();  // it came to its end all the same
  deliveries_.finish();
  if (input_error_) std::rethrow_exception(input_error_);
}

bool Master::look() {
  bool any = look_at_workers();
  any = deliver_arrived() || any;
  any = look_at_stops() || any;
  any = look_at_limits() || any;
  if (held_ && has_input()) {
    held_ = false;
    farm_.hold(job_, false);
  }
  return give_out() || any;
}

bool Master::look_at_workers() {
  bool any = here_ && here_->step();
  const auto receive = [&] {
    int count = 0;
    for (; count < most_messages_a_look; ++count) {
      const auto message = link_.mailbox().receive();
      if (!message) break;
      take(message->from, comm::Unpacker{message->body});
    }
    return count > 0;
  };
  any = receive() || any;
  any = link_.mailbox().has_moved() || any;
  if (!link_.has_news()) return any;
  while (receive()) {  // what a worker sent before it was lost counts
  }
  while (deliver_arrived()) {
  }
  for (const auto& news : link_.news()) {
    if (const auto* answer = std::get_if<comm::LivenessMonitor::Answer>(&news)) {
      farm_.taken_back(answer->rank, answer->answer);
      continue;
    }
    const auto& lost = std::get<comm::LivenessMonitor::Lost>(news);
    if (!farm_.is_live(lost.rank)) continue;
    lose(lost.rank, link_.death(lost));
  }
  return true;
}

// ---- what comes ----

void Master::take(int worker, comm::Unpacker message) {
  switch (message.get<ToMaster>()) {
    case ToMaster::ended: {
      if (!farm_.is_live(worker)) return;
      Arrived arrived{worker, message.get<Ended>(), {}, {}};
      arrived.reason = message.get<std::string>();
      if (arrived.ended.is_whole) {
        const auto bytes = message.rest();
        arrived.output.emplace(std::vector<std::byte>(bytes.begin(), bytes.end()), arrived.ended.output_bytes);
      }
      arrived_.push_back(std::move(arrived));
      break;
    }
    case ToMaster::piece: take_piece(worker, message); break;
    case ToMaster::books: books_[worker] = message.get<measure::Books>(); break;
  }
}

void Master::take_piece(int worker, comm::Unpacker& message) {
  const auto fetch = message.get<Fetch>();
  if (!fetching_ || arrived_.empty() || arrived_.front().worker != worker) return;
  Fetching& fetching = *fetching_;
  fetching.got += fetch.bytes;
  if (!fetching.failure.empty()) return;
  try {
    (fetch.errors ? fetching.errors : fetching.output)->append(message.rest());
  } catch (const std::runtime_error& e) {  // no room: it is this task's output that is lost, and no other's
    fetching.failure = e.what();
    fetching.output.reset();
    fetching.errors.reset();
  }
}

void Master::begin_fetching() {
  Fetching& fetching = fetching_.emplace(Fetching{});
  try {
    fetching.output.emplace();
    fetching.errors.emplace();
  } catch (const std::runtime_error& e) {
    fetching.failure = e.what();
  }
}

void Master::end_fetching(Arrived& arrived) {
  Fetching& fetching = *fetching_;
  Ended& ended = arrived.ended;
  if (fetching.failure.empty()) {
    arrived.output.emplace(std::move(*fetching.output), ended.output_bytes, std::move(*fetching.errors),
                           ended.errors_bytes);
  } else {
    arrived.output.emplace(std::vector<std::byte>{}, 0);
    arrived.reason = fetching.failure;
    ended.output_lost = true;
  }
  fetching_.reset();
}

/// Gets the front one's output here, if it is not; false while it is coming.
bool Master::has_output(Arrived& arrived) {
  if (arrived.output) return true;
  const Ended& ended = arrived.ended;
  const std::uint64_t all = ended.output_bytes + ended.errors_bytes;
  comm::Packer message;
  const auto release = [&] {
    message.put(ToWorker::release);
    message.put(ended.sequence);
    send(arrived.worker, message);
  };
  if (!fetching_ && comm::Nodes::of(session_).is_here(arrived.worker)) {
    auto output = Spool::of(ended.output);
    auto errors = Spool::of(ended.errors);
    if (output && errors) {
      arrived.output.emplace(std::move(*output), ended.output_bytes, std::move(*errors), ended.errors_bytes);
      release();
      return true;
    }
  }
  if (!fetching_) begin_fetching();
  Fetching& fetching = *fetching_;
  while (fetching.failure.empty() && fetching.asked < all &&
         fetching.asked - fetching.got < pieces_ahead * piece_bytes) {
    Fetch next{.sequence = ended.sequence, .offset = fetching.asked, .bytes = 0, .errors = false};
    std::uint64_t end = ended.output_bytes;
    if (fetching.asked >= ended.output_bytes) {
      next.errors = true;
      next.offset -= ended.output_bytes;
      end = ended.errors_bytes;
    }
    next.bytes = std::min(piece_bytes, end - next.offset);
    fetching.asked += next.bytes;
    message.put(ToWorker::fetch);
    message.put(next);
    send(arrived.worker, message);
  }
  if (fetching.got < (fetching.failure.empty() ? all : fetching.asked)) return false;
  release();
  end_fetching(arrived);
  return true;
}

bool Master::deliver_arrived() {
  bool any = false;
  while (!arrived_.empty()) {
    const std::uint64_t asked = fetching_ ? fetching_->got : 0;
    if (!has_output(arrived_.front())) return any || (fetching_ && fetching_->got != asked);
    // Out of the queue first: on a rank alone, what is done next may let another arrive.
    Arrived arrived = std::move(arrived_.front());
    arrived_.pop_front();
    finish(arrived);
    any = true;
  }
  return any;
}

farm::Ending Master::ending(const Arrived& arrived) const {
  const Ended& ended = arrived.ended;
  const Task& task = tasks_.at(ended.task.first);
  return {.task = task.listed.number,
          .host = link_.hosts()[static_cast<std::size_t>(arrived.worker)],
          .rank = arrived.worker,
          .started_at = ended.started_at,
          .wall_s = ended.wall_s,
          .cpu_s = ended.cpu_s,
          .max_rss_bytes = ended.max_rss_bytes,
          .exit_code = ended.exit_code,
          .signal = ended.signal,
          .timed_out = ended.timed_out,
          .output_lost = ended.output_lost,
          .attempts = task.failures + 1,
          .output_bytes = ended.output_bytes,
          .reason = arrived.reason};
}

void Master::finish(Arrived& arrived) {
  const farm::Tasks& id = arrived.ended.task;
  const auto found = tasks_.find(id.first);
  Task& task = found->second;
  const farm::Ending how = ending(arrived);
  const auto time = std::chrono::duration_cast<std::chrono::nanoseconds>(measure::Seconds{arrived.ended.wall_s});
  if (how.is_good()) {
    farm_.done(arrived.worker, id, time);
  } else {
    (void)farm_.failed(arrived.worker, id.job, id.first);
    // What was ended for the run's sake, or would be tried again, is left for the next run.
    if (arrived.ended.ended_on_request || (task.failures + 1 < options_.attempts && stopping_ != Stopping::no)) return;
    if (++task.failures < options_.attempts) {
      ++retried_;
      return;
    }
  }
  farm_.consumed(job_, 1);
  try {
    deliveries_.deliver(task.listed, how, *arrived.output);
  } catch (const ReaderGone& gone) {  // the task is not done: its output is nowhere
    return stop(Stopping::at_once, gone.what());
  }
  tasks_.erase(found);
  look_at_halt();
}

void Master::look_at_halt() {
  if (stopping_ != Stopping::no) return;
  if (const auto when = deliveries_.halt(input_ended_ ? std::optional{listed_} : inputs_.count())) {
    stop(*when == farm::Halt::When::now ? Stopping::at_once : Stopping::gently, "--halt has stopped the run");
  }
}

void Master::give_up(const farm::GiveUp& gone) {
  const auto found = tasks_.find(gone.task);
  const Task& task = found->second;
  const farm::Ending how{.task = task.listed.number,
                         .host = "no host",
                         .rank = -1,
                         .started_at = base::seconds_since_1970(),
                         .exit_code = -1,
                         .attempts = gone.attempts,
                         .reason = fmt::format("{} rank{} died over it", gone.crashes, gone.crashes == 1 ? "" : "s")};
  deliveries_.deliver(task.listed, how, Output{{}, 0});
  tasks_.erase(found);
  farm_.consumed(job_, 1);
}

void Master::lose(int rank, const base::Death& death) {
  // What of it has not come whole is done again.
  if (!arrived_.empty() && arrived_.front().worker == rank) fetching_.reset();
  std::erase_if(arrived_, [&](const Arrived& arrived) { return arrived.worker == rank; });
  const std::uint64_t tasks = farm_.leased(rank);
  farm_.lost(rank);
  link_.lose(rank);
  lost_.push_back(fmt::format("rank {} on {}", rank, link_.hosts()[static_cast<std::size_t>(rank)]));
  deaths_.push_back(fmt::format("{} {}", lost_.back(), base::describe(death)));
  std::string what = deaths_.back() + "; ";
  const bool is_there = death.how == base::Death::How::silent || death.how == base::Death::How::stopped;
  const comm::Placement place = comm::placement();
  if (place.launcher == "mpirun" && place.outlives_ranks == false && !is_there) {
    what += "mpirun ends the job with it. Start it by -n RANKS, or mpirun --enable-recovery, and the others go on";
  } else if (farm_.live_workers() == 0) {
    what += "no rank is left to run commands";
  } else if (tasks == 0) {
    what += "it held no tasks";
  } else {
    what += fmt::format("its {} unfinished task{} given to others", tasks, tasks == 1 ? " is" : "s are");
  }
  surroundings_.tell(what);
}

// ---- when to stop ----

void Master::stop(Stopping how, const std::string& why) {
  if (how <= stopping_) return;
  if (stopping_ == Stopping::no) {
    stopped_ = why;
    farm_.cancel(job_);  // what has not begun is taken back
  }
  stopping_ = how;
  if (how != Stopping::at_once) return;
  comm::Packer message;
  message.put(ToWorker::end_now);
  send_to_all(message);
}

bool Master::look_at_stops() {
  const unsigned asked = surroundings_.stops_asked ? surroundings_.stops_asked() : 0;
  if (asked > stops_seen_) {
    const bool first = stops_seen_ == 0 && asked == 1;
    stops_seen_ = asked;
    if (!first) {
      stop(Stopping::at_once, "stopped by a signal");
      return true;
    }
    const std::uint64_t running = tasks_.size();
    stop(Stopping::gently, "stopped by a signal");
    end_at_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(options_.grace);
    if (running > 0) {
      surroundings_.tell(
          fmt::format("stopping: running commands have {:.4g} s to end; a second signal ends them at once",
                      options_.grace.count()));
    }
    return true;
  }
  if (end_at_ && Clock::now() >= *end_at_ && stopping_ == Stopping::gently) {
    stop(Stopping::at_once, stopped_);
    return true;
  }
  return false;
}

bool Master::look_at_limits() {
  const auto now = Clock::now();
  if (now < next_look_at_time_) return false;
  next_look_at_time_ = now + look_at_time_every;
  if (options_.needs_s && options_.ends_at && stopping_ == Stopping::no &&
      base::seconds_since_1970() + *options_.needs_s > *options_.ends_at) {
    stop(Stopping::gently, "what is left of the allocation is shorter than --time-request");
  }
  if (!options_.timeout_percent) return false;
  const auto limit = deliveries_.run_times().limit(*options_.timeout_percent);
  if (!limit || (limit_s_ && std::abs(*limit - *limit_s_) <= limit_tolerance * *limit_s_)) return false;
  limit_s_ = limit;
  comm::Packer message;
  message.put(ToWorker::limit);
  message.put(*limit_s_);
  send_to_all(message);
  return true;
}

// ---- what is to be done ----

bool Master::give_out() {
  bool any = false;
  if (options_.delay.count() > 0 && Clock::now() < next_start_) return false;
  while (const auto action = farm_.next()) {
    perform(*action);
    any = true;
    if (options_.delay.count() > 0 && std::holds_alternative<farm::Give>(*action)) {
      next_start_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(options_.delay);
      break;
    }
  }
  return any;
}

void Master::perform(const farm::Action& action) {
  if (const auto* give = std::get_if<farm::Give>(&action)) {
    comm::Packer message;
    message.put(ToWorker::tasks);
    message.put(give->chunk);
    for (std::uint64_t i = 0; i < give->chunk.tasks.count; ++i) {
      const std::uint64_t id = give->chunk.tasks.first + i;
      const Task& task = tasks_.at(id);
      message.put(task.listed.number + 1);
      message.put(static_cast<std::uint32_t>(farm_.attempts(job_, id)));
      message.put(task.listed.line);
    }
    send(give->worker, message);
  } else if (const auto* read = std::get_if<farm::Read>(&action)) {
    read_list(*read);
  } else if (const auto* back = std::get_if<farm::TakeBack>(&action)) {
    if (here_) {
      farm_.taken_back(0, here_->take_back(back->upto));
    } else {
      link_.request(back->worker, back->upto);
    }
  } else {
    give_up(std::get<farm::GiveUp>(action));
  }
}

/// Reading on waits for nobody.
bool Master::has_input() {
  while (inputs_.descriptor() >= 0 && !inputs_.has_buffered()) {
    pollfd ready{inputs_.descriptor(), POLLIN, 0};
    if (poll(&ready, 1, 0) == 0) return false;
    inputs_.read_some();
  }
  return true;
}

void Master::read_list(const farm::Read& read) {
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;
  // A percentage to stop at is of all tasks: what comes through a pipe is read as far as it has come.
  const bool all = options_.halt.is_percent && !inputs_.count();
  while (!input_ended_ && (all || count < read.count || !deliveries_.may_start())) {
    try {
      if (!has_input()) {
        held_ = true;
        break;
      }
      auto values = inputs_.next();
      if (!values) {
        deliveries_.list_ended(listed_);
        input_ended_ = true;
        break;
      }
      Task task;
      task.listed.number = listed_++;
      task.listed.line = work_.line.line(*values, task.listed.number + 1);
      if (options_.tag) task.listed.tag = command::Template::tag(*values);
      if (!options_.results.empty()) task.listed.values = std::move(*values);
      if (deliveries_.list(task.listed.number, task.listed.line)) continue;
      bytes += task.listed.line.size();
      tasks_.emplace(given_ + count, std::move(task));
      ++count;
    } catch (const base::UsageError&) {
      input_error_ = std::current_exception();
      stop(Stopping::gently, "the input");
      return;
    }
  }
  // While the journal's tasks are not all seen again, nothing may start, and nothing be known of more.
  if (held_ && !deliveries_.may_start()) {
    unseen_ += count;
    given_ += count;
    farm_.hold(job_, true);
    return;
  }
  given_ += count;
  farm_.read(job_, std::exchange(unseen_, 0) + count, input_ended_, bytes);
  if (held_) farm_.hold(job_, true);
  if (options_.halt.is_percent) look_at_halt();  // of what ended in earlier runs, too
}

void Master::send(int worker, comm::Packer& message) {
  if (!here_) return link_.mailbox().send(worker, message);
  comm::Packer taken;
  std::swap(taken, message);
  here_->take(comm::Unpacker{taken.view()});
}

void Master::send_to_all(comm::Packer& message) {
  for (const int worker : workers_of(session_.size())) {
    if (!farm_.is_live(worker)) continue;
    comm::Packer copy = message;
    send(worker, copy);
  }
}

// ---- the end ----

void Master::abandon() {
  stop(Stopping::at_once, "an error");
  try {
    (void)end();
  } catch (const std::exception&) {  // what went wrong first is told
  }
}

std::vector<measure::Books> Master::end() {
  std::vector<measure::Books> all;
  if (here_) {
    all.push_back(measure::close(account_, 0, session_.between_nodes(), ""));
    return all;
  }
  comm::Packer message;
  message.put(ToWorker::books);
  send_to_all(message);
  message.clear();
  const auto has_all = [&] {
    for (int rank = 1; rank < session_.size(); ++rank) {
      if (farm_.is_live(rank) && !books_.contains(rank)) return false;
    }
    return true;
  };
  const auto limit = Clock::now() + leave_limit;
  for (comm::Backoff backoff{true}; !has_all() && Clock::now() < limit;) {
    if (look_at_workers()) {
      arrived_.clear();
      backoff = comm::Backoff{true};
    } else {
      backoff.pause();
    }
  }
  all.push_back(measure::close(account_, 0, session_.between_nodes(), ""));
  for (int rank = 1; rank < session_.size(); ++rank) {
    if (const auto found = books_.find(rank); found != books_.end()) {
      all.push_back(found->second);
      continue;
    }
    all.push_back({.record = {.rank = static_cast<std::uint64_t>(rank),
                              .host = link_.hosts()[static_cast<std::size_t>(rank)],
                              .cpus = "",
                              .role = "worker",
                              .lost = true},
                   .usable_cpus = all.front().usable_cpus,
                   .isa = ""});
  }

  std::vector<int> live;
  for (int rank = 1; rank < session_.size(); ++rank) {
    if (farm_.is_live(rank)) live.push_back(rank);
  }
  message.put(ToWorker::leave);
  message.put(!lost_.empty());
  send_to_all(message);
  link_.say_goodbye();
  while (!link_.all_have_left(1ms)) {
    while (link_.mailbox().receive()) {
    }
    if (Clock::now() < limit + leave_limit) continue;
    for (const int rank : live) link_.lose(rank);
    break;
  }
  return all;
}

}  // namespace echelon::map
