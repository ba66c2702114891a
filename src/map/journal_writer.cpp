#include "journal_writer.hpp"

#include <chrono>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>

namespace echelon::map {
namespace {

/// Between the beginnings of two groups: syncing costs processor time too.
constexpr std::chrono::milliseconds group_time{20};
/// What may gather before the caller has to wait for the disk.
constexpr std::size_t most_queued = std::size_t{16} << 20U;
/// What gathers of lines that are not urgent.
constexpr std::size_t worth_writing = std::size_t{1} << 20U;

}  // namespace

JournalWriter::JournalWriter(int file, std::string path, std::uint64_t size)
    : file_{file}, path_{std::move(path)}, size_{size}, thread_{start_without_signals([this] { run(); })} {}

JournalWriter::~JournalWriter() {
  {
    const std::lock_guard guard{mutex_};
    stop_ = true;
  }
  work_.notify_one();
  thread_.join();
}

void JournalWriter::check() const {
  if (!failure_.empty()) throw std::runtime_error(failure_);
}

void JournalWriter::append(std::string_view lines, bool urgent) {
  bool wake = false;
  {
    std::unique_lock lock{mutex_};
    if (queue_.size() > most_queued) {
      written_.wait(lock, [&] { return queue_.size() <= most_queued || !failure_.empty(); });
    }
    check();
    queue_ += lines;
    urgent_ = urgent_ || urgent;
    wake = idle_ && (urgent_ || queue_.size() > worth_writing);
    if (wake) idle_ = false;
  }
  if (wake) work_.notify_one();
}

void JournalWriter::flush() {
  std::unique_lock lock{mutex_};
  hurry_ = true;
  urgent_ = true;  // lines before these may be written, but not synced
  idle_ = false;
  work_.notify_one();
  written_.wait(lock, [&] { return (queue_.empty() && !urgent_ && !at_work_) || !failure_.empty(); });
  check();
}

void JournalWriter::sync_before(int store) {
  const std::lock_guard guard{mutex_};
  store_.reset(fcntl(store, F_DUPFD_CLOEXEC, 0));
  if (!store_.is_open()) throw std::runtime_error("cannot open the output a second time: " + reason());
}

void JournalWriter::run() {
  using std::chrono::steady_clock;
  std::unique_lock lock{mutex_};
  steady_clock::time_point last{};
  while (true) {
    idle_ = true;
    work_.wait(lock, [&] { return stop_ || hurry_ || urgent_ || queue_.size() > worth_writing; });
    idle_ = false;
    if (stop_ && queue_.empty() && !urgent_) return;
    work_.wait_until(lock, last + group_time, [&] { return stop_ || hurry_; });
    last = steady_clock::now();
    hurry_ = false;
    const std::string lines = std::exchange(queue_, {});
    const bool sync = std::exchange(urgent_, false) || stop_;
    const int store = store_.get();
    at_work_ = true;
    lock.unlock();
    std::string failure = write_group(lines, store, sync);
    lock.lock();
    at_work_ = false;
    if (!failure.empty()) failure_ = std::move(failure);
    written_.notify_all();
    if (!failure_.empty()) return;
  }
}

std::string JournalWriter::write_group(const std::string& lines, int store, bool sync) {
  const auto failed = [&](std::string_view what) {
    return fmt::format("cannot write {}{}: {}", what, path_, reason());
  };
  if (sync && store >= 0 && fdatasync(store) != 0) return failed("the output that belongs to ");
  const std::uint64_t count = write_at(file_, lines, size_);
  if (count < lines.size()) {
    std::string failure = failed("");
    // Lines that are whole speak of output that is on the disk.
    const std::size_t newline = std::string_view{lines}.substr(0, count).rfind('\n');
    if (newline != std::string::npos) size_ += newline + 1;
    (void)ftruncate(file_, static_cast<off_t>(size_));
    (void)fdatasync(file_);
    return failure;
  }
  if (sync && fdatasync(file_) != 0) {
    std::string failure = failed("");
    (void)ftruncate(file_, static_cast<off_t>(size_));
    return failure;
  }
  size_ += lines.size();
  return {};
}

}  // namespace echelon::map
