#include "server.hpp"

#include <string>
#include <utility>

#include <echelon/comm/backoff.hpp>
#include <echelon/comm/collectives.hpp>
#include <echelon/measure/machine.hpp>

namespace echelon::pool::detail {
namespace {

/// How often messages are looked for between short runs.
constexpr std::chrono::microseconds look_for_requests_every{20};
/// Results that are larger are sent at once.
constexpr std::size_t report_bytes = 1 << 16;

/// A task that waited for all ranks would wait for ever: the others do not make its calls.
class ActsAlone {
 public:
  explicit ActsAlone(const comm::Session& session)
      : session_{session},
        before_{session.refuse_collectives("all ranks call this together, and this rank runs tasks of a pool")} {}
  ~ActsAlone() { session_.refuse_collectives(std::move(before_)); }
  ActsAlone(const ActsAlone&) = delete;
  ActsAlone& operator=(const ActsAlone&) = delete;

 private:
  const comm::Session& session_;
  std::string before_;
};

}  // namespace

Server::Server(const comm::Session& session, Nursery* nursery)
    : session_{session}, nursery_{nursery}, link_{session, [this](std::uint64_t upto) {
                                                    return worker_.take_back(upto);
                                                  }} {
  (void)comm::gather(session, measure::format_cpu_list(measure::affinity()));
}

Server::~Server() {
  if (leaving_) link_.say_goodbye();
}

void Server::tell_exit(int status) {
  if (!leaving_) link_.give_up(base::encode(base::Death{base::Death::How::status, status & 0xff}));
}

void Server::serve(Until until) {
  using measure::Phase;
  const ActsAlone alone{session_};
  const auto has_ended = [&] { return leaving_ || (until == Until::pool_ends && pools_ended_ > 0); };
  comm::Backoff backoff;
  auto looked = measure::Clock::now();
  account_.clock.enter(Phase::wait, looked);
  bool waiting = true;
  for (;;) {
    bool any = false;
    if (waiting || last_end_ - looked >= look_for_requests_every) {
      looked = last_end_;
      while (!has_ended() && receive()) any = true;
      if (has_ended()) break;
      any = link_.mailbox().has_moved() || any;
    }
    if (const auto next = worker_.begin()) {
      run(*next);
      waiting = false;
      if (worker_.must_report(next->careful, runner_.waited()) || runner_.message().size() >= report_bytes) report();
      continue;
    }
    if (!waiting) {
      report();
      backoff = {};
      waiting = true;
      account_.clock.enter(Phase::wait);
      continue;
    }
    if (any) {
      backoff = {};
    } else {
      session_.check_calls();  // or the master may never make that pool
      backoff.pause();
    }
  }
  report();
  account_.clock.enter(Phase::wait);
  if (leaving_) {
    // Whatever this rank still has to do before it says goodbye, it is not busy with a task: the master waits for it.
    comm::Packer leaves;
    leaves.put(ToMaster::leaves);
    link_.mailbox().send(0, leaves);
    for (comm::Backoff until_sent; !link_.mailbox().has_sent_all(); until_sent.pause()) {
      while (link_.mailbox().receive()) {
      }
    }
  } else {
    --pools_ended_;
  }
}

bool Server::receive() {
  auto message = link_.mailbox().receive();
  if (!message) return false;
  comm::Unpacker from{message->body};
  switch (from.get<ToWorker>()) {
    case ToWorker::tasks: receive_tasks(*message, from); break;
    case ToWorker::forget: functions_.erase(from.get<farm::JobId>()); break;
    case ToWorker::books: {
      comm::Packer answer;
      answer.put(ToMaster::books);
      answer.put(measure::close(account_, session_.rank(), session_.between_nodes(), ""));
      link_.mailbox().send(0, answer);
      break;
    }
    case ToWorker::pool_ended: ++pools_ended_; break;
    case ToWorker::leave:
      if (from.get<bool>()) session_.lose(0);  // some rank was lost: do not wait for it in MPI_Finalize
      leaving_ = true;
      break;
  }
  return true;
}

void Server::receive_tasks(comm::Mailbox::Message& message, comm::Unpacker from) {
  const auto head = from.get<TasksHead>();
  std::shared_ptr<Function> function;
  const auto function_bytes_at = message.body.size() - from.rest().size();
  if (head.chunk.isolated && nursery_ != nullptr) {
    (void)from.bytes(head.function_bytes);
  } else if (head.has_function) {
    const auto* type = static_cast<const TaskType*>(decode(head.type));
    function = std::make_shared<Function>(*type, from.bytes(head.function_bytes));
    if (!head.once) functions_[head.chunk.tasks.job] = function;
  } else {
    function = functions_.at(head.chunk.tasks.job);
  }
  const std::size_t offset = message.body.size() - from.rest().size();
  held_.push_back({head.chunk, std::move(function), head, message.take(), {}, {}});
  Held& held = held_.back();
  held.function_bytes = std::span<const std::byte>{held.bytes}.subspan(function_bytes_at, head.function_bytes);
  held.arguments = std::span<const std::byte>{held.bytes}.last(held.bytes.size() - offset);
  worker_.receive(head.chunk);
}

void Server::run(const farm::Chunk& run) {
  // Chunks before it were taken back, or have run.
  while (held_.front().chunk.sequence + held_.front().chunk.tasks.count <= run.sequence) held_.pop_front();
  Held& held = held_.front();
  farm::Chunk& left = held.chunk;
  for (; left.sequence < run.sequence; ++left.sequence, ++left.tasks.first, --left.tasks.count) {
    (void)take_argument(held.arguments, held.head.argument_size);
  }
  const auto began = measure::Clock::now();
  if (held.function) {
    held.arguments = runner_.run(*held.function, run.tasks, held.head.argument_size, held.arguments, account_.clock);
    last_end_ = runner_.last_end();
  } else {
    run_isolated(held, run.tasks);
  }
  worker_.ended(run.tasks.count, last_end_ - began);
  account_.tasks += run.tasks.count;
  account_.items += run.tasks.count;
  left.sequence += run.tasks.count;
  left.tasks.first += run.tasks.count;
  left.tasks.count -= run.tasks.count;
  if (left.tasks.count == 0) held_.pop_front();
}

void Server::run_isolated(Held& held, const farm::Tasks& tasks) {
  report();  // first what ended before
  account_.clock.enter(measure::Phase::compute);
  TasksHead head = held.head;
  for (std::uint64_t task = tasks.first; task < tasks.end(); ++task) {
    head.chunk.tasks = {tasks.job, task, 1};
    const auto argument = take_argument(held.arguments, head.argument_size);
    comm::Packer message = nursery_->run(head, held.function_bytes, argument);
    link_.mailbox().send(0, message);
  }
  last_end_ = measure::Clock::now();
  account_.clock.enter(measure::Phase::communicate, last_end_);
}

void Server::report() {
  if (runner_.is_empty()) return;
  link_.mailbox().send(0, runner_.message());
  runner_.begin();
}

}  // namespace echelon::pool::detail
