#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <echelon/comm/collectives.hpp>
#include <echelon/shared/lock.hpp>
#include <echelon/workloads/log.hpp>

namespace echelon::workloads {
namespace {

using measure::Clock;
using measure::Phase;

std::string line(std::uint64_t rank, std::uint64_t number, std::uint64_t lines) {
  return fmt::format("rank {} line {} of {}\n", rank, number + 1, lines);
}

/// A file that this process appends to.
class Appender {
 public:
  Appender(std::string path, bool begins_anew) : path_{std::move(path)} {
    file_ = open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | (begins_anew ? O_CREAT | O_TRUNC : 0), 0666);
    if (file_ < 0) fail(std::strerror(errno));
  }
  ~Appender() { ::close(file_); }
  Appender(const Appender&) = delete;
  Appender& operator=(const Appender&) = delete;

  /// By one write(2).
  void append(const std::string& text) const {
    ssize_t written = -1;
    do {
      written = write(file_, text.data(), text.size());
    } while (written < 0 && errno == EINTR);
    if (written < 0) fail(std::strerror(errno));
    if (static_cast<std::size_t>(written) < text.size()) {
      fail(fmt::format("it took {} of {} bytes; is the disk full?", written, text.size()));
    }
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw std::runtime_error(fmt::format("cannot append to {}: {}", path_, why));
  }

  std::string path_;
  int file_ = -1;
};

/// What the master found in the file.
struct Findings {
  std::uint64_t right = 0;
  std::uint64_t wrong = 0;        ///< torn, there already, before its turn, or of nobody
  std::uint64_t first_wrong = 0;  ///< the number of that line, from 1; 0: none
  std::uint64_t bytes = 0;
};

Findings check(const std::string& path, std::uint64_t ranks, std::uint64_t lines) {
  Findings found;
  std::vector<std::uint64_t> next(ranks);
  std::ifstream in{path};
  std::string text;
  for (std::uint64_t number = 1; std::getline(in, text); ++number) {
    if (!in.eof()) text += '\n';
    found.bytes += text.size();
    std::uint64_t rank = ranks;
    const bool has_rank = std::sscanf(text.c_str(), "rank %" SCNu64, &rank) == 1 && rank < ranks;
    if (has_rank && next[rank] < lines && text == line(rank, next[rank], lines)) {
      ++next[rank];
      ++found.right;
      continue;
    }
    if (++found.wrong == 1) found.first_wrong = number;
  }
  if (in.bad() || !in.eof()) throw std::runtime_error("cannot read " + path);
  return found;
}

class LogRun {
 public:
  LogRun(const comm::Session& session, Account& account, const LogOptions& options, const Progress& progress)
      : session_{session}, account_{account}, options_{options}, progress_{progress}, lock_{session} {}
  /// Where it ends by an exception, there is nothing to be seen in the file.
  ~LogRun() {
    if (!is_kept_) unlink(path_.c_str());
  }
  LogRun(const LogRun&) = delete;
  LogRun& operator=(const LogRun&) = delete;

  /// How long it took, from the barrier on until all ranks have written theirs.
  double repetition() {
    measure::PhaseClock& clock = account_.clock;
    clock.enter(Phase::wait);
    std::optional<Appender> file;
    if (session_.is_master()) file.emplace(path_, true);
    session_.barrier();
    if (!file) file.emplace(path_, false);
    session_.barrier();
    const Clock::time_point begin = Clock::now();
    write_lines(*file);
    clock.enter(Phase::wait);
    session_.barrier();
    return measure::Seconds{Clock::now() - begin}.count();
  }

  [[nodiscard]] Findings findings() {
    account_.clock.enter(Phase::communicate);
    return check(path_, static_cast<std::uint64_t>(session_.size()), options_.lines);
  }

  void keep() { is_kept_ = true; }

 private:
  void write_lines(const Appender& file) {
    const auto rank = static_cast<std::uint64_t>(session_.rank());
    for (std::uint64_t i = 0; i < options_.lines; ++i) {
      const std::string text = line(rank, i, options_.lines);
      lock_.lock();
      account_.clock.enter(Phase::compute);
      file.append(text);  // where that fails, the lock keeps the others from failing over the same
      account_.clock.enter(Phase::wait);
      lock_.unlock();
      ++account_.items;
      if (session_.is_master()) progress_(static_cast<double>(i + 1) / static_cast<double>(options_.lines));
    }
  }

  const comm::Session& session_;
  Account& account_;
  const LogOptions& options_;
  const Progress& progress_;
  shared::Lock lock_;
  const std::string path_ = partial_log(options_.file);
  bool is_kept_ = false;
};

}  // namespace

std::string partial_log(const std::string& file) { return file + ".partial"; }

measure::Record run_log(const comm::Session& session, Account& account, const std::vector<std::string>& argv,
                        const LogOptions& options, const Progress& progress) {
  const std::uint64_t expected = options.lines * static_cast<std::uint64_t>(session.size());
  const auto is_right = [&](const Findings& found) { return found.wrong == 0 && found.right == expected; };
  Findings found;  // of the first repetition that is not right, else of the last
  std::vector<double> repetitions_s;
  {
    double finished = 0;  // repetitions
    const Progress of_all = [&](double done) { progress((finished + done) / static_cast<double>(options.repeat)); };
    LogRun run{session, account, options, of_all};
    session.barrier();  // what a rank waits for another's MPI_Init belongs to startup
    bool go_on = true;
    for (std::uint64_t i = 0; i < options.repeat && go_on; ++i) {
      repetitions_s.push_back(run.repetition());
      ++account.tasks;
      ++finished;
      if (session.is_master()) found = run.findings();
      go_on = comm::broadcast(session, is_right(found));
    }
    if (session.is_master() && is_right(found)) std::filesystem::rename(partial_log(options.file), options.file);
    run.keep();
  }
  account.clock.enter(Phase::communicate);
  comm::reduce_max(session, repetitions_s);

  const double time_s = measure::median(repetitions_s);
  Outcome outcome{
      .command = "log",
      .parameters = {{"lines", options.lines}, {"repeat", options.repeat}},
      .result = {{"file", is_right(found) ? options.file : partial_log(options.file)},
                 {"bytes", found.bytes},
                 {"expected", expected},
                 {"found", found.right},
                 {"wrong", found.wrong},
                 {"first_wrong_line", found.first_wrong},
                 {"time_s", time_s},
                 {"lines_per_s", static_cast<double>(expected) / time_s}},
      .repetitions_s = repetitions_s,
      .isa = "",
  };
  return close(session, account, argv, std::move(outcome));
}

bool log_is_right(const measure::Record& record) {
  std::uint64_t written = 0;
  for (const measure::RankRecord& rank : record.ranks) written += rank.items;
  const auto count = [&](const char* name) { return measure::get<std::uint64_t>(record.result, name); };
  return count("wrong") == 0 && count("found") == count("expected") &&
         count("expected") == measure::get<std::uint64_t>(record.parameters, "lines") * record.ranks.size() &&
         written == count("expected") * record.repetitions_s.size();
}

}  // namespace echelon::workloads
