#include "deliveries.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/map/joblog.hpp>
#include <echelon/map/journal_lines.hpp>

#include "files.hpp"
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
  if (how.output_lost) return "has lost its output";
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

std::string absolute(const std::string& path) {
  return path.empty() ? path : std::filesystem::absolute(path).lexically_normal().string();
}

std::vector<std::string> described(const std::vector<command::Source>& sources) {
  std::vector<std::string> all;
  for (const command::Source& source : sources) {
    if (const auto* const list = std::get_if<command::ListSource>(&source)) {
      for (const std::string& value : list->values) all.push_back("argument " + value);
    } else if (const auto* const file = std::get_if<command::FileSource>(&source)) {
      all.push_back("file " + absolute(file->path));
    } else {
      all.emplace_back("pipe");
    }
  }
  return all;
}

JournalOptions journal_options(const Options& options, bool has_output_file) {
  return {.path = options.journal,
          .resume = options.resume,
          .by_content = options.by_content,
          .force = options.force,
          .work = {.command = options.command,
                   .separator = std::string(1, options.separator),
                   .output_path = has_output_file ? absolute(options.output) : "",
                   .keep_order = options.keep_order,
                   .host = "",
                   .pid = 0,
                   .sources = described(options.sources)}};
}

}  // namespace

Deliveries::Deliveries(const Options& options, const Surroundings& surroundings)
    : options_{options},
      surroundings_{surroundings},
      printer_{{.output = surroundings.output_file >= 0                       ? surroundings.output_file
                          : options.output.empty() && options.results.empty() ? surroundings.output
                                                                              : -1,
                .errors = options.results.empty() || !options.output.empty() ? surroundings.errors : -1,
                .in_order = options.keep_order,
                .make_way = surroundings.make_way,
                .printed = [this](std::uint64_t task) { enter(task); }}} {
  std::optional<JournalOptions> journal;
  if (!options.journal.empty()) journal = journal_options(options, has_output_file());
  // First: a journal is not begun for a run that cannot be.
  if (has_output_file()) OutputFile::check(output_options(), journal ? &*journal : nullptr);
  if (journal) {
    journal_.emplace(*journal);
    for (const std::string& note : journal_->notes()) surroundings.tell("note: " + note);
  }
  if (!options.results.empty()) results_.emplace(options.results);
  if (!options.joblog.empty()) open_joblog();
}

void Deliveries::open_joblog() {
  if (surroundings_.joblog_file >= 0) {
    joblog_ = fcntl(surroundings_.joblog_file, F_DUPFD_CLOEXEC, 0);
  } else {
    const bool goes_on = options_.resume != Resume::no;
    joblog_ = open(options_.joblog.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | (goes_on ? 0 : O_TRUNC), 0666);
  }
  if (joblog_ < 0) {
    throw base::UsageError(fmt::format("--joblog: cannot write '{}': {}", options_.joblog, std::strerror(errno)));
  }
  struct stat status {};
  if (fstat(joblog_, &status) == 0 && status.st_size == 0) log(joblog_header());
}

Deliveries::~Deliveries() {
  if (joblog_ >= 0) close(joblog_);
}

void Deliveries::log(const std::string& line) const {
  write_all(joblog_, std::as_bytes(std::span{line}), fmt::format("--joblog: cannot write '{}'", options_.joblog));
}

void Deliveries::open_files() {
  if (std::exchange(are_open_, true)) return;
  if (has_output_file()) output_.emplace(output_options(), journal_ ? &*journal_ : nullptr);
  // A run that was killed may have logged more than its journal knows, one on a full disk less.
  struct stat status {};
  if (joblog_ < 0 || !journal_ || !journal_->is_resumed() || fstat(joblog_, &status) != 0 || !S_ISREG(status.st_mode)) {
    return;
  }
  journal_->flush();
  mend_joblog(joblog_, options_.joblog, JournalLines{journal_->path()});
}

OutputOptions Deliveries::output_options() const {
  return {.path = options_.output, .keep_order = options_.keep_order, .force = options_.force};
}

bool Deliveries::list(std::uint64_t number, const std::string& line) {
  if (!journal_ || !journal_->list(number, line)) return false;
  const bool has_failed = journal_->counts().failed_before > counts_.failed_before;
  counts_.failed_before = journal_->counts().failed_before;
  ++counts_.ended_before;
  ++(has_failed ? counts_.failed : counts_.succeeded);
  printer_.skip(number);
  return true;
}

bool Deliveries::may_start() {
  if (journal_ && !journal_->verified()) return false;
  open_files();
  return true;
}

void Deliveries::list_ended(std::uint64_t tasks) {
  if (journal_) journal_->list_ended(tasks);
  open_files();
}

void Deliveries::deliver(const Listed& task, const farm::Ending& ending, const Output& output) {
  if (ending.output_lost) return deliver_lost(task, ending, output);
  const auto text = [](std::span<const std::byte> bytes) {
    return std::string_view{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  };
  if (results_) output.write(*results_, task.values, task.number + 1);
  const std::string* const tag = task.tag.empty() ? nullptr : &task.tag;
  std::optional<farm::journal::Piece> piece;
  if (output_) {
    Tagger tagger{tag};
    output_->begin(task.number);
    output.read(Stream::output, [&](std::span<const std::byte> bytes) { output_->write(text(tagger(bytes))); });
    piece = output_->end();
  }
  // The logs come last: what they have is done. Without a file of output it is not before it is printed.
  farm::Ending logged = ending;
  if (journal_) logged.task = journal_->number_of(task.number);
  unlogged_.emplace(task.number, Unlogged{ending, joblog_ >= 0 ? joblog_line(logged, task.line) : "", piece});
  printer_.print(task.number, output, tag);
  if (output_) enter(task.number);
  count(task, ending);
}

/// It goes into no log, so that it is run again on resume; what it said last is all that there is to show.
void Deliveries::deliver_lost(const Listed& task, const farm::Ending& ending, const Output& output) {
  if (output_ && !journal_) (void)output_->put(task.number, "");
  printer_.print(task.number, output, task.tag.empty() ? nullptr : &task.tag);
  count(task, ending);
  if (++counts_.output_lost > 1) return;  // the others are in the list at the end
  surroundings_.tell(
      fmt::format("task {} has failed: {}; make room, and {}", task.number + 1, ending.reason,
                  options_.journal.empty() ? "run it again" : "it is run again by --resume when this run has ended"));
}

void Deliveries::count(const Listed& task, const farm::Ending& ending) {
  if (ending.is_good()) {
    ++counts_.succeeded;
    run_times_.add(ending.wall_s);
  } else {
    ++counts_.failed;
    if (failures_.size() < failures_kept) failures_.push_back(failure(task, ending));
  }
}

void Deliveries::enter(std::uint64_t task) {
  const auto found = unlogged_.find(task);
  if (found == unlogged_.end()) return;
  const Unlogged one = std::move(found->second);
  unlogged_.erase(found);
  if (joblog_ >= 0) log(one.joblog_line);
  if (journal_) journal_->ended(one.ending, one.piece);
}

void Deliveries::finish() {
  try {
    printer_.finish();
  } catch (const ReaderGone&) {  // the rest of a run that was stopped
  }
  if (journal_) journal_->flush();
  if (output_) output_->finish();
  // Some file systems tell only now that it did not go; of a pipe there is nothing to be told.
  if (joblog_ >= 0 && fdatasync(joblog_) != 0 && errno != EINVAL && errno != EROFS) {
    throw std::runtime_error(fmt::format("--joblog: cannot write '{}': {}", options_.joblog, std::strerror(errno)));
  }
}

std::optional<farm::Halt::When> Deliveries::halt(std::optional<std::uint64_t> total) const {
  // A percentage is of the whole list, a number of what this run has ended, as in GNU parallel.
  const Counts before = options_.halt.is_percent ? Counts{}
                                                 : Counts{.succeeded = counts_.ended_before - counts_.failed_before,
                                                          .failed = counts_.failed_before};
  const std::uint64_t failed = counts_.failed - before.failed;
  const std::uint64_t succeeded = counts_.succeeded - before.succeeded;
  return farm::decide(options_.halt, succeeded + failed, failed, succeeded, total);
}

}  // namespace echelon::map
