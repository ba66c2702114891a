#include "worker.hpp"

#include <csignal>
#include <stdexcept>

#include <fmt/format.h>

namespace echelon::map {
namespace {

using measure::Phase;

/// Of what a command said, as text for a line.
std::string last_line(std::string text) {
  constexpr std::size_t shown = 200;
  text.erase(text.find_last_not_of("\n\r \t") + 1);
  text.erase(0, text.find_last_of("\n\r") + 1);
  if (text.size() > shown) text.resize(shown);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return text;
}

}  // namespace

Worker::Worker(command::Helper& helper, const comm::Session& session, std::vector<std::string> environment,
               measure::Account& account, Send send)
    : helper_{helper},
      session_{session},
      environment_{std::move(environment)},
      account_{account},
      send_{std::move(send)} {
  environment_.push_back(fmt::format("ECHELON_RANK={}", session.rank()));
  account_.clock.enter(Phase::wait);
}

void Worker::take(comm::Unpacker message) {
  switch (message.get<ToWorker>()) {
    case ToWorker::tasks: {
      const auto chunk = message.get<farm::Chunk>();
      for (std::uint64_t i = 0; i < chunk.tasks.count; ++i) {
        TaskText text;
        text.number = message.get<std::uint64_t>();
        text.attempt = message.get<std::uint32_t>();
        text.line = message.get<std::string>();
        texts_.emplace(chunk.sequence + i, std::move(text));
      }
      farm_.receive(chunk);
      break;
    }
    case ToWorker::limit:
      limit_ = std::chrono::duration_cast<std::chrono::nanoseconds>(measure::Seconds{message.get<double>()});
      if (running_) helper_.set_limit(*limit_);
      break;
    case ToWorker::end_now:
      ending_ = true;
      if (running_) helper_.end();
      break;
    case ToWorker::fetch: {
      const auto fetch = message.get<Fetch>();
      const Outputs& outputs = kept_.at(fetch.sequence);
      std::vector<std::byte> bytes(fetch.bytes);
      (fetch.errors ? outputs.errors : outputs.output).read(fetch.offset, bytes);
      comm::Packer out;
      out.put(ToMaster::piece);
      out.put(fetch);
      out.bytes(bytes.data(), bytes.size());
      send_(out);
      break;
    }
    case ToWorker::release: kept_.erase(message.get<std::uint64_t>()); break;
    case ToWorker::books: {
      comm::Packer out;
      out.put(ToMaster::books);
      out.put(measure::close(account_, session_.rank(), session_.between_nodes(), ""));
      send_(out);
      break;
    }
    case ToWorker::leave:
      lost_some_ = message.get<bool>();
      leaving_ = true;
      break;
  }
}

bool Worker::step() {
  if (running_) {
    const auto report = helper_.ended();
    if (!report) return false;
    finish(*report, helper_.printed());
  }
  if (begun_.empty()) {
    const auto run = farm_.begin();
    if (!run) return false;
    for (std::uint64_t i = 0; i < run->tasks.count; ++i) {
      begun_.push_back({{run->tasks.job, run->tasks.first + i, 1}, run->sequence + i, run->careful});
    }
  }
  const farm::Chunk next = begun_.front();
  begun_.pop_front();
  start(next);
  return true;
}

void Worker::start(const farm::Chunk& task) {
  texts_.erase(texts_.begin(), texts_.lower_bound(task.sequence));  // these were taken back
  const auto text = texts_.begin();
  running_ = Running{task, std::move(text->second)};
  texts_.erase(text);
  if (ending_) return finish({.signal = SIGTERM, .ended_on_request = true}, {});
  ++account_.tasks;
  ++account_.items;
  std::vector<std::string> environment = environment_;
  environment.push_back(fmt::format("ECHELON_TASK={}", running_->text.number));
  environment.push_back(fmt::format("ECHELON_ATTEMPT={}", running_->text.attempt));
  account_.clock.enter(Phase::compute);
  if (!place_) make_place();
  helper_.start({.line = running_->text.line,
                 .environment = std::move(environment),
                 .output = place_ ? place_->output.descriptor() : -1,
                 .errors = place_ ? place_->errors.descriptor() : -1,
                 .limit = limit_});
}

/// A disk without room for it is that of those commands alone that need it.
void Worker::make_place() {
  try {
    place_.emplace();
    no_place_.clear();
  } catch (const std::runtime_error& e) {
    no_place_ = e.what();
  }
}

void Worker::finish(const command::Report& report, const command::Printed& printed) {
  account_.clock.enter(Phase::communicate);
  const Running ran = *std::exchange(running_, std::nullopt);
  farm_.ended(1, report.wall);
  Ended ended{.task = ran.task.tasks,
              .sequence = ran.task.sequence,
              .started_at = report.started_at,
              .wall_s = measure::Seconds{report.wall}.count(),
              .cpu_s = measure::Seconds{report.cpu}.count(),
              .max_rss_bytes = report.max_rss_bytes,
              .output_bytes = report.output_bytes,
              .errors_bytes = report.errors_bytes,
              .exit_code = report.exit_code,
              .signal = report.signal,
              .timed_out = report.timed_out,
              .ended_on_request = report.ended_on_request,
              .output_lost = report.write_error != 0,
              .is_whole = report.write_error != 0 || !report.is_in_files,
              .output = {},
              .errors = {}};
  if (ended.output_lost) {
    ended.output_bytes = 0;
    ended.errors_bytes = printed.errors_end.size();
  }
  std::string reason;
  if (ended.output_lost) {
    reason = place_ ? lost_output(report.write_error) : no_place_;
    if (const std::string last = last_line(printed.errors_end); !last.empty()) reason += "; it said: " + last;
  } else if (report.runner_was_killed) {
    reason = "the process that ran it was killed";
    place_.reset();  // nobody has emptied it
  } else if (ended.exit_code != 0 || ended.signal != 0 || ended.timed_out) {
    reason = last_line(printed.errors_end);
  }
  if (!ended.is_whole) {
    ended.output = place_->output.where();
    ended.errors = place_->errors.where();
    kept_.emplace(ended.sequence, std::move(*place_));
    place_.reset();
  }
  comm::Packer out;
  out.put(ToMaster::ended);
  out.put(ended);
  out.put(reason);
  for (const std::string* text : {&printed.output, ended.output_lost ? &printed.errors_end : &printed.errors}) {
    if (ended.is_whole) out.bytes(text->data(), text->size());
  }
  send_(out);
  account_.clock.enter(Phase::wait);
}

}  // namespace echelon::map
