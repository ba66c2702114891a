#include "deliveries.hpp"

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/map/joblog.hpp>

#include "tagger.hpp"

namespace echelon::map {
namespace {

constexpr std::size_t failures_kept = 1000;
constexpr std::size_t shown_of_a_line = 80;

std::string shortened(std::string text) {
  if (text.size() > shown_of_a_line) text = text.substr(0, shown_of_a_line - 3) + "...";
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return text;
}

std::string how_it_failed(const farm::Ending& how) {
  if (how.timed_out) return fmt::format("ran longer than its limit, {:.3g} s", how.wall_s);
  if (how.signal != 0) return fmt::format("was killed by signal {}", how.signal);
  if (how.rank < 0) return "was never finished";
  return fmt::format("ended with status {}", how.exit_code);
}

std::string failure(const Listed& task, const farm::Ending& how) {
  std::string line = fmt::format("task {} {}", task.number + 1, how_it_failed(how));
  if (how.attempts > 1) line += fmt::format(" after {} attempts", how.attempts);
  if (how.rank >= 0) line += fmt::format(" (rank {} on {})", how.rank, how.host);
  line += ": " + shortened(task.line);
  if (!how.reason.empty()) line += ": " + how.reason;
  return line;
}

int open_joblog(const std::string& path, bool goes_on) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (goes_on ? 0 : O_TRUNC), 0666);
  if (file < 0) throw base::UsageError(fmt::format("--joblog: cannot write '{}': {}", path, std::strerror(errno)));
  return file;
}

}  // namespace

Deliveries::Deliveries(const Options& options, const Surroundings& surroundings)
    : options_{options},
      printer_{{.output = options.output.empty() ? surroundings.output : -1,
                .errors = surroundings.errors,
                .in_order = options.keep_order}} {
  if (!options.results.empty()) results_.emplace(options.results);
  if (!options.joblog.empty()) {
    joblog_ = open_joblog(options.joblog, options.resume != Resume::no);
    struct stat status {};
    if (fstat(joblog_, &status) == 0 && status.st_size == 0) log(joblog_header());
  }
}

Deliveries::~Deliveries() {
  if (joblog_ >= 0) close(joblog_);
}

void Deliveries::log(const std::string& line) const {
  write_all(joblog_, std::as_bytes(std::span{line}), fmt::format("--joblog: cannot write '{}'", options_.joblog));
}

bool Deliveries::list(std::uint64_t number, const std::string& line) {
  if (!journal_) return false;
  if (!journal_->list(number, line)) return false;
  ++skipped_;
  printer_.skip(number);
  return true;
}

bool Deliveries::may_start() const { return !journal_ || journal_->verified(); }

void Deliveries::list_ended(std::uint64_t tasks) {
  if (journal_) journal_->list_ended(tasks);
}

void Deliveries::deliver(const Listed& task, const farm::Ending& ending, const Output& output) {
  printer_.print(task.number, output, task.tag.empty() ? nullptr : &task.tag);
  if (joblog_ >= 0) log(joblog_line(ending, task.line));
  if (ending.is_good()) {
    ++succeeded_;
    run_times_.add(ending.wall_s);
  } else {
    ++failed_;
    if (failures_.size() < failures_kept) failures_.push_back(failure(task, ending));
  }
}

void Deliveries::finish(bool complete) {
  printer_.finish();
  if (journal_) journal_->flush();
  (void)complete;
}

std::optional<farm::Halt::When> Deliveries::halt(std::optional<std::uint64_t> total) const {
  (void)total;
  return std::nullopt;
}

}  // namespace echelon::map
