#include "deliveries.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/map/joblog.hpp>

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

JournalOptions journal_options(const Options& options) {
  return {.path = options.journal,
          .resume = options.resume,
          .by_content = options.by_content,
          .force = options.force,
          .work = {.command = options.command,
                   .separator = std::string(1, options.separator),
                   .output_path = absolute(options.output),
                   .keep_order = options.keep_order,
                   .host = "",
                   .pid = 0,
                   .sources = described(options.sources)}};
}

/// A disk that was full has cut it short; its task is run again.
void drop_torn_line(int file, const std::string& path) {
  struct stat status {};
  if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) return;
  const Descriptor reader{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  off_t end = status.st_size;
  for (char last = 0; end > 0; --end) {
    if (pread(reader.get(), &last, 1, end - 1) != 1) return;
    if (last == '\n') break;
  }
  if (end < status.st_size) (void)!ftruncate(file, end);
}

int open_joblog(const std::string& path, bool goes_on) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (goes_on ? 0 : O_TRUNC), 0666);
  if (file < 0) throw base::UsageError(fmt::format("--joblog: cannot write '{}': {}", path, std::strerror(errno)));
  if (goes_on) drop_torn_line(file, path);
  return file;
}

}  // namespace

Deliveries::Deliveries(const Options& options, const Surroundings& surroundings)
    : options_{options},
      printer_{{.output = options.output.empty() && options.results.empty() ? surroundings.output : -1,
                .errors = options.results.empty() || !options.output.empty() ? surroundings.errors : -1,
                .in_order = options.keep_order,
                .make_way = surroundings.make_way,
                .printed = [this](std::uint64_t task) { enter(task); }}} {
  std::optional<JournalOptions> journal;
  if (!options.journal.empty()) journal = journal_options(options);
  // First: a journal is not begun for a run that cannot be.
  if (!options.output.empty()) OutputFile::check(output_options(), journal ? &*journal : nullptr);
  if (journal) {
    journal_.emplace(*journal);
    for (const std::string& note : journal_->notes()) surroundings.tell("note: " + note);
  }
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

void Deliveries::open_output() {
  if (options_.output.empty() || output_) return;
  output_.emplace(output_options(), journal_ ? &*journal_ : nullptr);
}

OutputOptions Deliveries::output_options() const {
  return {.path = options_.output, .keep_order = options_.keep_order, .force = options_.force};
}

bool Deliveries::list(std::uint64_t number, const std::string& line) {
  if (!journal_ || !journal_->list(number, line)) return false;
  ++skipped_;
  printer_.skip(number);
  return true;
}

bool Deliveries::may_start() {
  if (journal_ && !journal_->verified()) return false;
  open_output();
  return true;
}

void Deliveries::list_ended(std::uint64_t tasks) {
  if (journal_) journal_->list_ended(tasks);
  open_output();
}

void Deliveries::deliver(const Listed& task, const farm::Ending& ending, const Output& output) {
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
  unlogged_.emplace(task.number, Unlogged{ending, joblog_ >= 0 ? joblog_line(ending, task.line) : "", piece});
  printer_.print(task.number, output, tag);
  if (output_) enter(task.number);
  if (ending.is_good()) {
    ++succeeded_;
    run_times_.add(ending.wall_s);
  } else {
    ++failed_;
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
}

std::optional<farm::Halt::When> Deliveries::halt(std::optional<std::uint64_t> total) const {
  return farm::decide(options_.halt, succeeded_ + failed_, failed_, succeeded_, total);
}

}  // namespace echelon::map
